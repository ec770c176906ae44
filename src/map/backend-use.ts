/** What a map sends to one back-end. */
import { nameOf } from './key.ts'
import { formatPosition } from '../base/position.ts'
import type { Config } from '../config/config.ts'
import type { TracingReader } from './open.ts'

export interface BackendUse {
  readonly backend: string
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

export function usesOf(map: TracingReader, config: Config, backend: string): BackendUse {
  const users = new Set<string>()
  const counts = { user_map: 0, popmap: 0 }
  for (const record of map.records()) {
    if (record.source === 'aliases' || !('backend' in record.value)) continue
    if (record.value.backend !== backend) continue
    counts[record.source]++
    if (users.size < shownUsers) users.add(nameOf(record.key))
  }
  const { rules, patterns } = map.lookup
  const named = [
    ...rules.filter(({ destination }) =>
      destination.kind === 'hash'
        ? destination.shares.some((share) => share.backend === backend)
        : destination.kind === 'backend' && destination.backend === backend,
    ),
    ...patterns.filter((pattern) => pattern.backend === backend),
  ]
  return {
    backend,
    delivery: counts.user_map,
    retrieval: counts.popmap,
    users: [...users],
    rules: named.map(({ text, at }) => `${text} (${formatPosition(at)})`),
    smarthost: config.smarthost === backend,
  }
}
