/** When a move is to be gone on with by whoever looks after moves that no command works on. Pure. */
import type { Move } from './move-journal.ts'

const dayMs = 86_400_000
/** After the flip, what came to the old back-end is looked for so much later, and every day. */
const sweepsAtMs = [60_000, 600_000, 3_600_000]

type Seen = Pick<Move, 'step' | 'changedAt' | 'details'>

/**
 * Milliseconds since 1970; undefined where it is nobody's business but that of who gives it a command:
 * what has stopped says why, and a move without a time was not left to anybody.
 */
export function dueAt({ step, changedAt, details }: Seen): number | undefined {
  const { at, flippedAt = changedAt, sweptAt } = details
  switch (step) {
    case 'flipped':
    case 'sweeping':
      // The user lives at the target, and nothing but the end of it is left.
      return flippedAt
    case 'kept':
      return nextSweep(flippedAt, sweptAt ?? flippedAt)
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
  const since = sweptAt - flippedAt
  const soon = sweepsAtMs.find((afterMs) => afterMs > since)
  return flippedAt + (soon ?? (Math.floor(since / dayMs) + 1) * dayMs)
}

/** Those whose time has come, of the moves of all users in the order in which they began. */
export function movesDue(moves: readonly Move[], now: number): Move[] {
  const last = new Map(moves.map((move) => [move.user, move.id]))
  const meant = new Map(
    moves.filter(({ step }) => step !== 'aborted').map((move) => [move.user, move.id]),
  )
  return moves.filter((move) => {
    // Whoever has moved on since lives elsewhere.
    const current = move.step === 'kept' ? meant : last
    return current.get(move.user) === move.id && (dueAt(move) ?? Infinity) <= now
  })
}
