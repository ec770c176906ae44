/** What a map says of each single key, for lists and for what must look at all of them. */
import type { Position } from '../base/position.ts'
import type { Database } from './database/database.ts'
import type { Entry, SourceName } from './place.ts'
import { ByteSearch } from './database/byte-search.ts'
import { textValue } from './database/format.ts'
import type { RecordCursor } from './database/record-cursor.ts'
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
  isWanted: (cursor: RecordCursor) => boolean = () => true,
): Generator<MapRecord, void, undefined> {
  const { files } = base.meta
  const { generation } = base.header
  const changed = new Map(overrides?.byKey)
  for (const cursor = base.cursor(); cursor.next(); ) {
    if (!isWanted(cursor)) continue
    const { record } = cursor
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

/** Searching a record for more names takes longer than reading it. */
const searchedNames = 32

/**
 * The aliases and forwards, of those in the base only such as may have one of the names in them,
 * where there are few names: most are passed over as bytes.
 */
export function* listExpansions(
  base: Database,
  overrides: OverrideReader | undefined,
  names?: ReadonlySet<string>,
): Generator<MapRecord, void, undefined> {
  const forwards = new Set(
    base.meta.values.flatMap(({ kind }, index) => (kind === 'forward' ? [index + 1] : [])),
  )
  const isSearched = names !== undefined && names.size <= searchedNames
  const search = isSearched ? new ByteSearch(names) : undefined
  const isWanted = (cursor: RecordCursor): boolean => {
    const { kind, valueNumber } = cursor
    if (kind === 'popmap') return false
    if (valueNumber !== textValue) return forwards.has(valueNumber)
    return search === undefined || cursor.mayHave(search)
  }
  for (const record of listRecords(base, overrides, isWanted)) {
    if (record.source === 'aliases' || record.value.kind === 'forward') yield record
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
