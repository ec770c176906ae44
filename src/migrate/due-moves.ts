/** `mailmux user moves --due`: moves and sweeps whose time has come while no command works on them. */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { isDue, movesDue } from '../map/state/move-due.ts'
import { type Move, MoveJournal } from '../map/state/move-journal.ts'
import { type SettledMove, sweepMoves } from './list-moves.ts'
import { goOnWith } from './move-user.ts'
import { RunLimits } from './run-limits.ts'

/** The next run goes on with the rest: moves that have a time are not kept waiting by many sweeps. */
const sweepingMs = 45_000

const interrupted = { code: 'MOVE_STOPPED', message: 'it was interrupted' }

/**
 * Goes on with moves whose time has come and that nobody waits for any more: those that were left to
 * this, and those of commands that were killed. Not with those that have stopped, which say why. Then
 * what is due of old back-ends is swept; of that only what was found, or has failed, is told.
 */
export async function dueMoves(
  config: Config,
  now: number,
  signal: AbortSignal,
): Promise<SettledMove[]> {
  using journal = await MoveJournal.open(config.stateDir)
  using limits = new RunLimits(config)
  const settled: SettledMove[] = []
  for (const move of movesDue(journal.moves(), now, config.backends)) {
    if (move.step === 'kept' || signal.aborted) continue
    const isMeant = (last: Move): boolean => last.id === move.id && isDue(last, now)
    const one = await goOn(config, { move, isMeant, limits }, signal)
    if (one !== undefined) settled.push(one)
  }
  const until = performance.now() + sweepingMs
  const known = config.backends
  const swept = await sweepMoves(config, signal, (move, before) => {
    const isOver = performance.now() >= until || isAway(move, before)
    return !isOver && known.has(move.source) && known.has(move.target) && isDue(move, now)
  })
  return [...settled, ...swept.filter(isWorthTelling)]
}

const away = new Set(['BACKEND_UNREACHABLE', 'BACKEND_THROTTLED'])

/** Users of a back-end that does not answer do not keep those of others waiting. */
function isAway({ source, target }: Move, before: readonly SettledMove[]): boolean {
  return before.some(
    (one) => one.source === source && one.target === target && away.has(one.error?.code ?? ''),
  )
}

function isWorthTelling({ swept = 0, problems, error }: SettledMove): boolean {
  return swept + problems.length > 0 || (error !== undefined && error.code !== 'MIGRATION_BUSY')
}

interface Due {
  readonly move: Move
  /** Somebody may have given it up, or put it off, while others were gone on with. */
  readonly isMeant: (last: Move) => boolean
  readonly limits: RunLimits
}

/** Undefined where somebody works on it at this moment, or it is not meant any more. */
async function goOn(
  config: Config,
  { move, isMeant, limits }: Due,
  signal: AbortSignal,
): Promise<SettledMove | undefined> {
  const { user, source, target } = move
  const notes: string[] = []
  const note = (text: string): void => void notes.push(text)
  const told = { user, source, target, notes, problems: [] }
  const listener = { step: () => undefined, progress: () => undefined, note }
  try {
    const report = await goOnWith(config, { user, isMeant, limits }, listener, signal)
    if (report?.result === 'moved') return { ...told, moved: target }
    if (report?.result !== 'failed') return undefined
    const { error = interrupted } = report.record?.details ?? {}
    return { ...told, error }
  } catch (error) {
    const code = error instanceof MailmuxError ? error.code : 'INTERNAL'
    if (code === 'MIGRATION_BUSY') return undefined
    return { ...told, error: { code, message: messageOf(error) } }
  }
}
