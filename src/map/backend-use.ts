/** What a map sends to one back-end. */
import { nameOf } from './key.ts'
import { formatPosition } from '../base/position.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import type { MapRecord } from './map-record.ts'
import type { TracingReader } from './open.ts'
import { backendsOf } from './rule.ts'

export interface BackendUse {
  readonly backend: string
  readonly state: BackendConfig['state']
  /** Users that a source names, by mail or logins: those who are to be moved, where it is drained. */
  readonly left: number
  /** Users that a source names, by where their mail and their logins go. */
  readonly delivery: number
  readonly retrieval: number
  /** The first of them. */
  readonly users: readonly string[]
  /** Rules and lines of popmap for many logins, with their places. */
  readonly rules: readonly string[]
  readonly smarthost: boolean
}

const shownUsers = 3

/** Whether it says of a user that mail or logins go to a back-end, and no record before it does. */
function isFirstAt(map: TracingReader, record: MapRecord, backend: string): boolean {
  if (record.source === 'aliases' || !('backend' in record.value)) return false
  if (record.value.backend !== backend) return false
  if (record.source === 'user_map') return true
  const delivery = map.lookup.find(record.key)?.delivery
  return delivery === undefined || !('backend' in delivery) || delivery.backend !== backend
}

/** Users that the sources name at a back-end, each once. */
export function* usersAt(map: TracingReader, backend: string): Generator<string> {
  for (const record of map.records()) {
    if (isFirstAt(map, record, backend)) yield nameOf(record.key)
  }
}

export function usesOf(map: TracingReader, config: Config, backend: string): BackendUse {
  const users = new Set<string>()
  const counts = { user_map: 0, popmap: 0 }
  let left = 0
  for (const record of map.records()) {
    if (record.source === 'aliases' || !('backend' in record.value)) continue
    if (record.value.backend !== backend) continue
    counts[record.source]++
    if (isFirstAt(map, record, backend)) left++
    if (users.size < shownUsers) users.add(nameOf(record.key))
  }
  return {
    backend,
    state: config.backends.get(backend)?.state ?? 'online',
    left,
    delivery: counts.user_map,
    retrieval: counts.popmap,
    users: [...users],
    rules: rulesTo(map, backend),
    smarthost: config.smarthost === backend,
  }
}

/** Rules and lines of popmap for many logins that may send somebody to a back-end. */
export function rulesTo({ lookup }: TracingReader, backend: string): string[] {
  const { rules, patterns } = lookup
  const named = [
    ...rules.filter(({ destination }) => backendsOf(destination).includes(backend)),
    ...patterns.filter((pattern) => pattern.backend === backend),
  ]
  return named.map(({ text, at }) => `${text} (${formatPosition(at)})`)
}
