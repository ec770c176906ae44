/** The settings in force, and their way to each worker, in the two steps of channel.ts. */
import type { Log } from '../base/log.ts'
import type { FreezeNotice } from './freezes.ts'
import type { KeptChanges } from './kept-changes.ts'
import type { Settings } from './settings.ts'
import type { WorkerProcess } from './worker-process.ts'

/** Opening a very large map on a slow disk included. */
const prepareMs = 60_000
/** For an answer that takes no work. */
export const commitMs = 10_000

/** Why nothing new is begun. */
export const stoppingText = 'the daemon is stopping'

/** Settings with the number of the map that was found good with them. */
export interface CheckedSettings {
  readonly settings: Settings
  readonly generation: number
  readonly workers: number
  /** Changes of the map since its build. */
  readonly changes: KeptChanges
}

export class SettingsInForce {
  readonly #log: Log
  readonly #freezes: () => readonly FreezeNotice[]
  #current: CheckedSettings

  /** `freezes`: those that a worker is told of. */
  constructor(first: CheckedSettings, log: Log, freezes: () => readonly FreezeNotice[]) {
    this.#current = first
    this.#log = log
    this.#freezes = freezes
  }

  get current(): CheckedSettings {
    return this.#current
  }

  /** `serving`: the workers that serve now; undefined once the daemon stops. Returns why not. */
  async replace(
    next: CheckedSettings,
    serving: () => readonly WorkerProcess[] | undefined,
  ): Promise<readonly string[]> {
    const workers = serving() ?? []
    const answers = await Promise.all(workers.map((one) => prepare(one, next, this.#freezes())))
    const problems = [...new Set(answers.flat())]
    if (problems.length > 0 || serving() === undefined) {
      await Promise.all(workers.map((worker) => worker.ask({ do: 'abort' }, commitMs)))
      return problems.length > 0 ? problems : [stoppingText]
    }
    this.#current = next
    await Promise.all(workers.map((worker) => commit(worker, next)))
    // Workers that came into being meanwhile have the settings of before.
    await Promise.all((serving() ?? []).map((worker) => this.bring(worker)))
    return []
  }

  /** Gives a worker the settings in force; one that cannot take them is ended. Returns why. */
  async bring(worker: WorkerProcess): Promise<readonly string[]> {
    while (!worker.isGone && worker.given !== this.#current) {
      const next = this.#current
      const problems = await prepare(worker, next, this.#freezes())
      if (problems.length > 0) return this.turnAway(worker, problems)
      await commit(worker, next)
    }
    return []
  }

  turnAway(worker: WorkerProcess, problems: readonly string[]): readonly string[] {
    this.#log('worker.refused', { worker: worker.number, problems })
    worker.kill()
    return problems
  }
}

/** Returns why the worker cannot take the settings; nothing where it can, or has died. */
async function prepare(
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
async function commit(worker: WorkerProcess, next: CheckedSettings): Promise<void> {
  const reply = await worker.ask({ do: 'commit' }, commitMs)
  worker.given = next
  if (reply === undefined) worker.kill()
}
