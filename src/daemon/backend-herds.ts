/**
 * The sessions of a back-end that it ends all at once, because it dies or is restarted: their clients
 * would all be back in the same moment. Those that were doing something are told at once, as they would
 * soon find out; of those that only waited, a few at a time, so that the last one hears within half a
 * minute.
 */
import { PerRuntime } from './per-runtime.ts'
import type { Runtime } from './runtime.ts'

/** A session in which nothing passed for so long waits for nothing. */
const quietMs = 1_000
/** Ends that come within so long of each other belong together. */
const togetherMs = 2_000
/** So many are no herd. */
const few = 20
/** How far the others stand apart, as long as there is time. */
const stepMs = 10
const longestMs = 30_000

export class BackendHerd {
  #count = 0
  #lastAt = Number.NEGATIVE_INFINITY

  /**
   * A session has been ended by its back-end, after so many milliseconds in which no byte had passed.
   * Returns for how many its client need not know. `now` in milliseconds.
   */
  ended(silentMs: number, now: number): number {
    if (silentMs < quietMs) return 0
    if (now - this.#lastAt > togetherMs) this.#count = 0
    this.#lastAt = now
    const waitMs = Math.max(0, ++this.#count - few) * stepMs
    return waitMs > longestMs ? Math.random() * longestMs : waitMs
  }
}

/** When somebody is to come again who has found the back-end down or crowded, as others have. */
const soonestSeconds = 5
const latestSeconds = 35

export function someSeconds(): number {
  return Math.floor(soonestSeconds + Math.random() * (latestSeconds - soonestSeconds + 1))
}

const herds = new PerRuntime<string, BackendHerd>(() => new BackendHerd())

export function backendHerdOf(runtime: Runtime, backend: string): BackendHerd {
  return herds.of(runtime, backend)
}
