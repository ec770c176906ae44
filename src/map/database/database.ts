/**
 * A database, open: the index and what is small in memory, records read from the file as they are
 * needed. What a read finds damaged is thrown as MAP_DATABASE_DAMAGED.
 */
import { crc32 } from 'node:zlib'
import { MailmuxError } from '../../base/error.ts'
import type { Position } from '../../base/position.ts'
import type { QueryKey } from '../../mail/query-key.ts'
import type { Entry, Lookup, SourceName } from '../place.ts'
import { compilePattern, compileRule, type Pattern, type Rule } from '../rule.ts'
import type { Value } from '../value.ts'
import {
  blockBytes,
  flagAliases,
  flagBareKeys,
  flagWideKeys,
  type Header,
  headerBytes,
  jointBit,
  type RecordKind,
  recordHeadBytes,
  recordKinds,
  recordUnitBytes,
  referenceBit,
  referenceMask,
  textValue,
} from './format.ts'
import { KeyHash } from './key-hash.ts'
import type { Meta } from './meta.ts'
import type { SlotIndex } from './slots.ts'
import { sharedLimit } from './value-table.ts'
import { decodeHead, type StoredRecord } from './record.ts'
import { RecordCursor } from './record-cursor.ts'

export interface DatabaseParts {
  readonly path: string
  readonly header: Header
  readonly index: SlotIndex
  readonly meta: Meta
  readonly sums: Uint32Array
  /** Bytes of the file; fewer at its end. */
  read(position: number, lengthBytes: number): Buffer
}

const cacheLimit = 4096
const longestRecordBytes = 1 << 26

export class Database implements Lookup {
  readonly rules: readonly Rule[]
  readonly patterns: readonly Pattern[]
  readonly queryKeys: readonly QueryKey[]
  readonly smarthost: string | undefined
  readonly hasBareKeys: boolean
  readonly hasWideKeys: boolean
  readonly hasAliases: boolean
  readonly #parts: DatabaseParts
  readonly #hash: KeyHash
  /** Entries of the pairs, by number from 1. */
  readonly #entries: readonly Entry[]
  #known: ReadonlyMap<string, readonly string[]> | undefined
  readonly #cache = new Map<number, { readonly key: string; readonly entry: Entry }>()

  /** Throws where a rule of the meta section cannot be compiled. */
  constructor(parts: DatabaseParts) {
    const { header, meta } = parts
    this.#parts = parts
    this.#hash = new KeyHash(header.seed)
    this.rules = meta.rules.map(compileRule)
    this.patterns = meta.patterns.map(compilePattern)
    this.queryKeys = meta.queryKeys ?? []
    this.smarthost = meta.smarthost ?? undefined
    this.hasBareKeys = (header.flags & flagBareKeys) !== 0
    this.hasWideKeys = (header.flags & flagWideKeys) !== 0
    this.hasAliases = (header.flags & flagAliases) !== 0
    this.#entries = meta.pairs.map(([delivery, retrieval]) => ({
      targets: undefined,
      delivery: delivery === 0 ? undefined : this.#value(delivery),
      retrieval: retrieval === 0 ? undefined : this.#value(retrieval),
    }))
  }

  /** Targets that a build still has in memory need not be read back; only records of their own. */
  rememberAliases(targets: ReadonlyMap<string, readonly string[]>): void {
    this.#known = targets
  }

  /** False where surely no user is forwarded. */
  get hasForwards(): boolean {
    const { values } = this.meta
    return values.length >= sharedLimit || values.some(({ kind }) => kind === 'forward')
  }

  get header(): Header {
    return this.#parts.header
  }

  get meta(): Meta {
    return this.#parts.meta
  }

  find(key: string): Entry | undefined {
    const slot = this.#probe(key)
    if (slot === -1) return undefined
    const value = this.#parts.index.valueOf(slot)
    if (value >= referenceBit) return this.#load((value & referenceMask) >>> 0, key)
    return this.#entries[value - 1] ?? this.#damaged('a slot of the index names no value')
  }

  /** Where the line of a key stands. */
  place(key: string, source: SourceName): Position | undefined {
    const slot = this.#probe(key)
    if (slot === -1) return undefined
    const at = this.header.sections.places.offset + slot * 4
    const reference = this.#readCold(at, 4).readUInt32LE(0)
    const record = this.#recordsAt(reference).find((one) => one.kind === source && one.key === key)
    const file = record && this.meta.files[record.source]
    return record === undefined || file === undefined
      ? undefined
      : { file, line: record.line, column: 1 }
  }

  /** The slot of a key, -1 where there is none. */
  #probe(key: string): number {
    const hash = this.#hash
    hash.hashText(key)
    return this.#parts.index.find(hash.high, hash.low)
  }

  /** Records hold their whole key: another key with the same hash is told apart here. */
  #load(reference: number, key: string): Entry | undefined {
    const targets = (reference & jointBit) === 0 ? this.#known?.get(key) : undefined
    if (targets !== undefined) return { targets, delivery: undefined, retrieval: undefined }
    const cached = this.#cache.get(reference)
    if (cached !== undefined) return cached.key === key ? cached.entry : undefined
    const records = this.#recordsAt(reference)
    const own = records[0]?.key
    if (own === undefined) return this.#damaged('a slot of the index names no record')
    const valueOf = (kind: RecordKind): unknown => {
      const record = records.find((one) => one.kind === kind)
      return record && this.valueOfRecord(record)
    }
    const entry: Entry = {
      targets: valueOf('aliases') as readonly string[] | undefined,
      delivery: valueOf('user_map') as Value | undefined,
      retrieval: valueOf('popmap') as Value | undefined,
    }
    if (this.#cache.size === cacheLimit) this.#cache.clear()
    this.#cache.set(reference, { key: own, entry })
    return own === key ? entry : undefined
  }

  /** The value of a user, or the targets of an alias. */
  valueOfRecord({ valueNumber, text }: StoredRecord): unknown {
    if (valueNumber !== textValue) return this.#value(valueNumber)
    return JSON.parse(text ?? this.#damaged('a record has no value'))
  }

  #value(number: number): Value {
    return this.meta.values[number - 1] ?? this.#damaged('a value has no such number')
  }

  #recordsAt(reference: number): StoredRecord[] {
    if ((reference & jointBit) === 0) return [this.record(reference)]
    const at = this.header.sections.joints.offset + (reference & ~jointBit) * 12
    const joint = this.#readCold(at, 12)
    return recordKinds
      .map((_, number) => joint.readUInt32LE(number * 4))
      .filter((one) => one !== 0)
      .map((one) => this.record(one))
  }

  /** The record at a reference. */
  record(reference: number): StoredRecord {
    const at = headerBytes + reference * recordUnitBytes
    const bytes = this.#readCold(at, recordHeadBytes)
    const head = decodeHead(bytes) ?? this.#damaged('a record has no head')
    const keyAt = at + recordHeadBytes
    const key = this.#readCold(keyAt, head.keyBytes).toString()
    if (head.valueNumber !== textValue) return { ...head, key, text: undefined }
    const textAt = keyAt + head.keyBytes
    const length = this.#readCold(textAt, 4).readUInt32LE(0)
    if (length > longestRecordBytes) return this.#damaged('a record is too long')
    return { ...head, key, text: this.#readCold(textAt + 4, length).toString() }
  }

  /** Every record, in the order of the sources. */
  *records(): Generator<StoredRecord, void, undefined> {
    for (const cursor = this.cursor(); cursor.next(); ) yield cursor.record
  }

  /** Stands before the first record, in the order of the sources. */
  cursor(): RecordCursor {
    const { offset, length } = this.header.sections.records
    return new RecordCursor({
      end: offset + length,
      read: (at, count) => this.#readCold(at, count),
      damaged: (what) => this.#damaged(what),
    })
  }

  /** A number of the key's own below `slotCount`, -1 where it is not there; asks memory only. */
  slotOf(key: string): number {
    return this.#probe(key)
  }

  get slotCount(): number {
    return this.#parts.index.slotCount
  }

  /** Where blocks begin whose checksums are wrong, of the sections on disk; all is read. */
  *damagedBlocks(): Generator<number, void, undefined> {
    const { offset, length } = this.header.sections.places
    for (let at = headerBytes, block = 0; at < offset + length; at += blockBytes, block++) {
      const bytes = this.#parts.read(at, Math.min(blockBytes, offset + length - at))
      if (crc32(bytes) !== this.#parts.sums[block]) yield at
    }
  }

  /** Bytes of the sections on disk, from blocks whose checksums are right. */
  #readCold(at: number, count: number): Buffer {
    const { sums, header } = this.#parts
    const { offset, length } = header.sections.places
    if (count === 0) return Buffer.alloc(0)
    if (at < headerBytes || at + count > offset + length) {
      return this.#damaged('a reference leads out of the file')
    }
    const first = Math.floor((at - headerBytes) / blockBytes)
    const last = Math.floor((at + count - 1 - headerBytes) / blockBytes)
    const start = headerBytes + first * blockBytes
    const end = Math.min(headerBytes + (last + 1) * blockBytes, offset + length)
    const bytes = this.#parts.read(start, end - start)
    if (bytes.length !== end - start) return this.#damaged('it is truncated')
    for (let block = first; block <= last; block++) {
      const from = (block - first) * blockBytes
      if (crc32(bytes.subarray(from, from + blockBytes)) !== sums[block]) {
        return this.#damaged(`the checksum of the block at byte ${start + from} is wrong`)
      }
    }
    return bytes.subarray(at - start, at - start + count)
  }

  #damaged(what: string): never {
    throw new MailmuxError('MAP_DATABASE_DAMAGED', `${this.#parts.path}: ${what}`)
  }
}
