/** `mailmux user moves --due`: moves whose time has come while nobody waits for them. */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { type Move, MoveJournal } from '../map/state/move-journal.ts'
import type { SettledMove } from './list-moves.ts'
import { isOver } from './move-machine.ts'
import { goOnWith } from './move-user.ts'
import { RunLimits } from './run-limits.ts'

const interrupted = { code: 'MOVE_STOPPED', message: 'it was interrupted' }

/**
 * Goes on with moves whose time has come and that nobody waits for any more: those that were left to
 * this, and those of commands that were killed. Not with those that have stopped, which say why.
 */
export async function dueMoves(
  config: Config,
  now: number,
  signal: AbortSignal,
): Promise<SettledMove[]> {
  using journal = await MoveJournal.open(config.stateDir)
  using limits = new RunLimits(config)
  const settled: SettledMove[] = []
  for (const move of journal.moves()) {
    if (!isDue(move, now) || journal.lastOf(move.user)?.id !== move.id || signal.aborted) continue
    const isMeant = (last: Move): boolean => last.id === move.id && isDue(last, now)
    const one = await goOn(config, { move, isMeant, limits }, signal)
    if (one !== undefined) settled.push(one)
  }
  return settled
}

function isDue({ step, details: { at } }: Move, now: number): boolean {
  return at !== undefined && at <= now && step !== 'stopped' && !isOver(step)
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
  const told = { user, source, notes, problems: [] }
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
