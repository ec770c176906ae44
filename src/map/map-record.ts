/** What a map says of each single key, for lists and for what must look at all of them. */
import type { Position } from '../base/position.ts'
import type { Database } from './database/database.ts'
import type { Entry, SourceName } from './place.ts'
import type { OverrideReader } from './state/override-reader.ts'
import type { Value } from './value.ts'

export type MapRecord = {
  readonly key: string
  readonly at: Position | undefined
} & (
  | { readonly source: 'aliases'; readonly targets: readonly string[] }
  | { readonly source: 'user_map' | 'popmap'; readonly value: Value }
)

/** The base in the order of its sources without what was changed, then changes in their order. */
export function* listRecords(
  base: Database,
  overrides: OverrideReader | undefined,
): Generator<MapRecord, void, undefined> {
  const { files } = base.meta
  const { generation } = base.header
  const changed = new Map(overrides?.byKey)
  for (const record of base.records()) {
    const { key, kind, source, line } = record
    if (changed.has(key)) continue
    const file = files[source] ?? ''
    const stood = { file, line, column: 1 }
    const at = overrides === undefined ? stood : overrides.moved(stood, generation)
    const value = base.valueOfRecord(record)
    yield kind === 'aliases'
      ? { key, at, source: kind, targets: value as readonly string[] }
      : { key, at, source: kind, value: value as Value }
  }
  for (const [key, { entry }] of changed) {
    if (entry !== undefined) yield* recordsOf(key, entry, overrides)
  }
}

function* recordsOf(
  key: string,
  { targets, delivery, retrieval }: Entry,
  overrides: OverrideReader | undefined,
): Generator<MapRecord, void, undefined> {
  const at = (source: SourceName): Position | undefined => overrides?.place(key, source)
  if (targets !== undefined) yield { key, at: at('aliases'), source: 'aliases', targets }
  if (delivery !== undefined) yield { key, at: at('user_map'), source: 'user_map', value: delivery }
  if (retrieval !== undefined) yield { key, at: at('popmap'), source: 'popmap', value: retrieval }
}
