/** All that a map says, a line each, in the words of the sources. */
import type { Position } from '../base/position.ts'
import { formatAddress } from '../mail/address.ts'
import type { Database } from './database/database.ts'
import { isQueryKey, nameOf } from './key.ts'
import type { MapRecord } from './map-record.ts'
import { type PatternSource, wildcardOf } from './rule.ts'
import { writeKey } from './sources/line-grammar.ts'
import { describeValue, type Value } from './value.ts'

export type DumpedSource = 'aliases' | 'user_map' | 'popmap' | 'popmap.re' | 'rules'

export interface DumpedLine {
  readonly source: DumpedSource
  /** As it may stand in that source. */
  readonly line: string
  /** Of a line that decides about one key, canonical. */
  readonly key?: string
  readonly targets?: readonly string[]
  readonly value?: Value
  readonly at?: Position
}

/** Rules and patterns first, since few, then everything else in the order of the sources. */
export function* dumpMap(
  { meta }: Database,
  records: Iterable<MapRecord>,
): Generator<DumpedLine, void, undefined> {
  for (const { text, at } of meta.rules) yield { source: 'rules', line: text, at }
  for (const pattern of meta.patterns) yield dumpPattern(pattern)
  for (const record of records) yield dumpRecord(record)
}

function dumpPattern(pattern: PatternSource): DumpedLine {
  const { text, backend, login, at } = pattern
  // Of such a line in an ordinary popmap only the key is kept as text.
  const wildcard = wildcardOf(pattern)
  if (wildcard === undefined) return { source: 'popmap.re', line: text, at }
  const value = login === undefined ? backend : `${login}@${backend}`
  return { source: 'popmap', line: `${wildcard}:${value}`, at }
}

function dumpRecord(record: MapRecord): DumpedLine {
  const { key, source } = record
  const at = record.at === undefined ? {} : { at: record.at }
  const name = writtenKey(key)
  if (source === 'aliases') {
    const { targets } = record
    const line = `${name}: ${targets.map(writtenKey).join(', ')}`
    return { source, line, key, targets, ...at }
  }
  const { value } = record
  const line = `${name}${source === 'popmap' ? ':' : ' '}${writtenValue(value)}`
  return { source, line, key: isQueryKey(key) ? nameOf(key) : key, value, ...at }
}

/** A key or a target; in quotes where a blank or a mark of the source would divide it. */
function writtenKey(key: string): string {
  if (isQueryKey(key)) return writeKey(nameOf(key))
  const at = key.lastIndexOf('@')
  const local = at === -1 ? key : key.slice(0, at)
  const domain = at === -1 ? '' : key.slice(at + 1)
  if (local === '') return key
  const written = formatAddress(local, domain)
  const whole = local.startsWith('#') ? `"${local}"@${domain}` : written
  return domain === '' ? whole.slice(0, -1) : whole
}

function writtenValue(value: Value): string {
  switch (value.kind) {
    case 'reject':
      return `error:${value.status}:${value.code} ${value.text}`
    case 'defer':
      return `defer:${value.status}:${value.code} ${value.text}`
    default:
      return describeValue(value)
  }
}
