/** The end of a worker that is wanted no more, or that met a fault of ours. */
import { waits } from '../base/limit.ts'
import type { WorkerProcess } from './worker-process.ts'

/** What a worker may take beyond the drain, to write its log out, before it is killed. */
const exitMs = 4_000

export interface Drain {
  /** How long its sessions may take to end. */
  readonly drainMs: number
  /** Joined ones are asked to end only after that time. */
  readonly patient?: boolean
}

/** Why the daemon ends, and how. */
export interface Ending extends Drain {
  readonly reason: string
}

/** Lets its sessions end, and it; true where none had to be forced. */
export async function retire(
  worker: WorkerProcess,
  { drainMs, patient = false }: Drain,
): Promise<boolean> {
  worker.state = 'leaving'
  // After a drain sessions are told of their end.
  const mostMs = drainMs + exitMs + (patient ? 2 * waits.boundaryMs : 0)
  const timer = setTimeout(() => worker.kill(), mostMs)
  const reply = await worker.ask({ do: 'stop', drainMs, patient }, mostMs)
  await worker.exited
  clearTimeout(timer)
  return reply?.drained ?? false
}

/** One that ends by itself; if it cannot, it is ended. */
export function awaitEnd(worker: WorkerProcess, drainMs: number): void {
  const timer = setTimeout(() => worker.kill(), drainMs + exitMs)
  void worker.exited.then(() => clearTimeout(timer))
}
