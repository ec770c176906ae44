/** Counts over all workers that there were: those that are gone stay counted. */
import { type Counts, sumCounts } from './counters.ts'
import type { WorkerProcess } from './worker-process.ts'

export class RetiredFigures {
  #counts: Counts = {}
  #dropped = 0

  /** What a worker told last, when it has gone. */
  add({ lastReport }: WorkerProcess): void {
    this.#counts = sumCounts([this.#counts, lastReport.counters])
    this.#dropped += lastReport.logDropped
  }

  countsWith(living: readonly WorkerProcess[]): Counts {
    return sumCounts([this.#counts, ...living.map(({ lastReport }) => lastReport.counters)])
  }

  /** Lines of the log that were lost. */
  droppedWith(living: readonly WorkerProcess[]): number {
    return living.reduce((sum, { lastReport }) => sum + lastReport.logDropped, this.#dropped)
  }
}
