/** Changes of a map as lines for a person. */
import type { Change, ChangeGroup, DifferenceSummary } from './difference.ts'
import type { RouteChange, WayChange } from './entry-difference.ts'

const marks = { added: '+', removed: '-', rerouted: '~', changed: '~', moved: '~' } as const

/** One line: `~ user ann@example.com: fritz → ingrid`. */
export function describeChange(change: Change): string {
  const mark = marks[change.change]
  switch (change.kind) {
    case 'user':
      return `${mark} user ${change.key}: ${waysOf(change)}`
    case 'alias': {
      const { addedTargets, removedTargets } = change
      const targets = [
        ...addedTargets.map((target) => `+${target}`),
        ...removedTargets.map((target) => `-${target}`),
      ]
      return `${mark} alias ${change.key}: ${targets.join(', ')}`
    }
    default:
      return `${mark} ${change.kind} ${change.text}${change.change === 'moved' ? ' (moved)' : ''}`
  }
}

function waysOf({ delivery, retrieval }: RouteChange): string {
  if (delivery?.from === retrieval?.from && delivery?.to === retrieval?.to) {
    return wayOf(delivery)
  }
  return [
    ...(delivery === undefined ? [] : [`mail ${wayOf(delivery)}`]),
    ...(retrieval === undefined ? [] : [`logins ${wayOf(retrieval)}`]),
  ].join(', ')
}

function wayOf(way: WayChange | undefined): string {
  return `${way?.from} → ${way?.to}`
}

/** One line: `fritz → ingrid: 1,234`. */
export function describeGroup({ direction, from, to, count }: ChangeGroup): string {
  const what = { both: '', delivery: 'mail ', retrieval: 'logins ' }[direction]
  return `${what}${from} → ${to}: ${format(count)}`
}

/** Who goes from where to where, a line each, and one line that sums up. */
export function describeTotals(summary: DifferenceSummary): string[] {
  const { rerouted, added, removed, aliases, settings, groups } = summary
  return [
    ...groups.map(describeGroup),
    `${format(rerouted)} users sent elsewhere, ${format(added)} new, ${format(removed)} gone; ` +
      `${format(aliases)} aliases and ${format(settings)} rules or settings changed`,
  ]
}

function format(count: number): string {
  return count.toLocaleString('en')
}
