/** Settings on their way to one worker, in the two steps of channel.ts. */
import type { FreezeNotice } from './freezes.ts'
import type { KeptChanges } from './kept-changes.ts'
import type { Settings } from './settings.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Opening a very large map on a slow disk included. */
const prepareMs = 60_000
/** For an answer that takes no work. */
export const commitMs = 10_000

/** Settings with the number of the map that was found good with them. */
export interface CheckedSettings {
  readonly settings: Settings
  readonly generation: number
  readonly workers: number
  /** Changes of the map since its build. */
  readonly changes: KeptChanges
}

/** Returns why the worker cannot take the settings; nothing where it can, or has died. */
export async function prepare(
  worker: WorkerProcess,
  next: CheckedSettings,
  freezes: readonly FreezeNotice[],
): Promise<readonly string[]> {
  const { settings, changes } = next
  const own = { board: worker.board, freezes }
  const ask = { do: 'prepare', settings, changes: changes.known, ...own } as const
  const reply = await worker.ask(ask, prepareMs)
  // What comes in the place of a worker that died gets the settings that are in force by then.
  if (reply === undefined && worker.isGone) return []
  if (reply === undefined) return [`worker ${worker.number} does not answer`]
  if (!reply.prepared) return reply.problems
  if (reply.generation === next.generation) return []
  return [`${next.settings.config.map.database}: has been replaced meanwhile, try again`]
}

/** Puts in force what was prepared; a worker that does not answer is ended. */
export async function commit(worker: WorkerProcess, next: CheckedSettings): Promise<void> {
  const reply = await worker.ask({ do: 'commit' }, commitMs)
  worker.given = next
  if (reply === undefined) worker.kill()
}
