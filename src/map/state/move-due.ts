/** When a move is to be gone on with by whoever looks after moves that no command works on. Pure. */
import type { Move } from './move-journal.ts'

const dayMs = 86_400_000
/** After the flip, what came to the old back-end is looked for so much later, and every day. */
const sweepsAtMs = [60_000, 600_000, 3_600_000]

type Seen = Pick<Move, 'step' | 'changedAt' | 'details'>

/**
 * Milliseconds since 1970; undefined where it is nobody's business but that of who gives it a command:
 * what has stopped says why, and a move without a time was not left to anybody. `now`: likewise.
 */
export function dueAt({ step, changedAt, details }: Seen, now: number): number | undefined {
  const { at, flippedAt = changedAt, sweptAt } = details
  switch (step) {
    case 'flipped':
    case 'sweeping':
      // The user lives at the target, and nothing but the end of it is left.
      return flippedAt
    case 'kept':
      // A clock that was ahead has written down what has not come yet.
      return nextSweep(flippedAt, Math.min(sweptAt ?? flippedAt, now))
    case 'stopped':
    case 'purging':
    case 'purged':
    case 'ended':
    case 'aborted':
      return undefined
    default:
      return at
  }
}

function nextSweep(flippedAt: number, sweptAt: number): number {
  const since = Math.max(0, sweptAt - flippedAt)
  const soon = sweepsAtMs.find((afterMs) => afterMs > since)
  return flippedAt + (soon ?? (Math.floor(since / dayMs) + 1) * dayMs)
}

/**
 * Those whose time has come, of the moves of all users in the order in which they began. `known`: names
 * of back-ends: what is of none of them cannot be gone on with.
 */
export function movesDue(
  moves: readonly Move[],
  now: number,
  known: Pick<ReadonlySet<string>, 'has'>,
): Move[] {
  const last = new Map(moves.map((move) => [move.user, move.id]))
  const meant = new Map(
    moves.filter(({ step }) => step !== 'aborted').map((move) => [move.user, move.id]),
  )
  return moves.filter((move) => {
    // Whoever has moved on since lives elsewhere.
    const current = move.step === 'kept' ? meant : last
    const isLast =
      current.get(move.user) === move.id && known.has(move.source) && known.has(move.target)
    return isLast && isDue(move, now)
  })
}

export function isDue(move: Seen, now: number): boolean {
  return (dueAt(move, now) ?? Number.POSITIVE_INFINITY) <= now
}
