/** The end of a worker that is wanted no more, or that met a fault of ours. */
import { waits } from '../base/limit.ts'
import type { Drain } from './channel.ts'
import type { Place } from './worker-place.ts'
import type { WorkerProcess } from './worker-process.ts'

/** What a worker may take beyond the drain, to write its log out, before it is killed. */
const exitMs = 4_000

/** Why the daemon ends, and how. */
export interface Ending extends Drain {
  readonly reason: string
}

/** Lets its sessions end, and it; true where none had to be forced. */
export async function retire(worker: WorkerProcess, drain: Drain): Promise<boolean> {
  worker.state = 'leaving'
  // After a drain sessions are told of their end.
  const mostMs = drain.drainMs + exitMs + (drain.patient === true ? 2 * waits.boundaryMs : 0)
  const timer = setTimeout(() => worker.kill(), mostMs)
  const reply = await worker.ask({ do: 'stop', ...drain }, mostMs)
  await worker.exited
  clearTimeout(timer)
  return reply?.drained ?? false
}

/** Has places given up; returns when their workers, whose sessions may take their time, have ended. */
export async function leave(places: readonly Place[], drain: Drain): Promise<void> {
  for (const { timer } of places) clearTimeout(timer)
  const workers = places.flatMap(({ worker }) => worker ?? [])
  await Promise.all(workers.map((worker) => retire(worker, drain)))
}

/** One that ends by itself; if it cannot, it is ended. */
export function awaitEnd(worker: WorkerProcess, drainMs: number): void {
  const timer = setTimeout(() => worker.kill(), drainMs + exitMs)
  void worker.exited.then(() => clearTimeout(timer))
}
