/** What the threads of a build are told, and what they answer. */
import type { BackendConfig } from '../../config/config.ts'
import type { Naming } from '../../mail/address.ts'
import type { BucketIndex } from '../database/sort-bucket.ts'
import type { SharedEntries } from '../database/entry-buckets.ts'
import type { SortJob } from '../database/index-builder.ts'
import type { Seed } from '../database/key-hash.ts'
import type { SourceFile } from '../sources/source-context.ts'
import type { Value } from '../value.ts'
import type { LineEvent } from './line-events.ts'

/** What a thread knows from its start. */
export interface ThreadSetting {
  readonly naming: Naming
  readonly backends: readonly BackendConfig[]
  readonly smarthost: string | undefined
  readonly seed: Seed
}

export interface PartRequest {
  /** Any number that no other part has at the time. */
  readonly part: number
  readonly memory: SharedArrayBuffer
  readonly start: number
  readonly end: number
  /** Begins anew with these values, which the database has numbered so. */
  readonly values: readonly Value[] | undefined
}

/** What was found in a part; lines count from 1 at its begin. */
export interface PartReport {
  readonly lines: number
  readonly lengthBytes: number
  readonly users: number
  readonly hasBareKeys: boolean
  readonly hasWideKeys: boolean
  /** Those that the thread had not met before; their numbers follow those that it had. */
  readonly newValues: readonly Value[]
  readonly events: readonly LineEvent[]
  /** Errors and warnings that `events` has no room for. */
  readonly more: { readonly errors: number; readonly warnings: number }
}

export interface SettleRequest {
  readonly part: number
  /** Added to every line. */
  readonly line: number
  readonly reference: number
  readonly numbers: Uint32Array | undefined
}

export interface SettledPart {
  readonly memory: SharedArrayBuffer
  readonly lengthBytes: number
  readonly sums: Uint32Array
}

export interface UsageReport {
  readonly domains: readonly string[]
  readonly userMap: readonly string[]
  readonly popmap: readonly string[]
}

/** Name of a call → what it is given, and what it gives. */
export interface Calls {
  open: { request: { kind: 'user_map' | 'popmap'; file: SourceFile }; reply: undefined }
  parse: { request: PartRequest; reply: PartReport }
  settle: { request: SettleRequest; reply: SettledPart }
  /** The part's records are written. */
  release: { request: number; reply: undefined }
  close: { request: undefined; reply: UsageReport }
  share: { request: undefined; reply: SharedEntries }
  job: { request: SortJob; reply: undefined }
  /** Some buckets of the job. */
  sort: { request: readonly number[]; reply: readonly (BucketIndex | undefined)[] }
}

export interface Message<Name extends keyof Calls = keyof Calls> {
  readonly name: Name
  readonly number: number
  readonly request: Calls[Name]['request']
}

export type Reply =
  | { readonly number: number; readonly reply: Calls[keyof Calls]['reply'] }
  | { readonly number: number; readonly failure: unknown }
