/** Keeps a build from sending many users elsewhere by a mistake in a source. */
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { openCurrent, wholeOf } from './compared-map.ts'
import type { Database } from './database/database.ts'
import { describeChange, describeGroup } from './describe-difference.ts'
import { type Change, Difference } from './difference.ts'

/** How many of those concerned are named. */
const shownChanges = 10
/** Fewer than these may change at once, whatever their share, but never all go: a small site has few. */
const few = 10

/**
 * Compares what was compiled with the map in force. Throws MAP_MAX_CHANGED where more users than the
 * config allows go elsewhere or vanish; MAP_DATABASE_DAMAGED where the one in force cannot be read.
 */
export function guardChanges(config: Config, compiled: Database): void {
  using older = openCurrent(config)
  const isSame = older.database.header.sourceDigest.equals(compiled.header.sourceDigest)
  if (isSame && [...older.overridden].length === 0) return
  const newer = wholeOf(compiled)
  const difference = new Difference(older, newer, config.naming)
  const first: Change[] = []
  let aliases = 0
  for (const change of difference.changes()) {
    if (change.kind === 'alias' && change.change === 'removed') aliases++
    const isConcerned = change.kind === 'user' ? change.change !== 'added' : change.kind === 'alias'
    if (isConcerned && first.length < shownChanges) first.push(change)
  }
  const { users, rerouted, removed, groups } = difference.summary
  const concerned = rerouted + removed
  const { maxChanged } = config.map
  const allAliases = older.database.header.aliases
  const isFew = maxChanged > 0 && concerned < few && removed < users
  const areFewAliases = aliases < few && aliases < allAliases
  const counts = [
    isFew
      ? undefined
      : share(concerned, users, 'users would be sent elsewhere or vanish', maxChanged),
    areFewAliases ? undefined : share(aliases, allAliases, 'aliases would vanish', maxChanged),
  ].filter((text) => text !== undefined)
  if (counts.length === 0) return
  const limit = `max_changed is ${percent(maxChanged)}`
  const lines = [...groups.map(describeGroup), ...first.map(describeChange)]
  const more = concerned + aliases - first.length
  throw new MailmuxError(
    'MAP_MAX_CHANGED',
    [...lines, ...(more > 0 ? [`and ${more} more`] : []), `${counts.join(', ')}: ${limit}`].join(
      '\n',
    ),
  )
}

function share(count: number, all: number, what: string, limit: number): string | undefined {
  if (count === 0 || count <= limit * all) return undefined
  return `${count} of ${all} ${what} (${percent(count / Math.max(all, 1))})`
}

function percent(part: number): string {
  return `${Number((part * 100).toFixed(2))}%`
}
