/**
 * How long a server takes to begin an answer, on average, and whether that is too long: then other
 * users of it wait as well. Pure: whoever uses it tells the time, in monotonic milliseconds.
 */

/** What one answer counts for: a single slow one says nothing, eight in a row say most of it. */
const weight = 1 / 8
/** So long what was done about it is given to show. */
const patienceMs = 10_000
const longestRestMs = 10_000

export class Latency {
  readonly #limitMs: number
  #meanMs = 0
  #toldAt = Number.NEGATIVE_INFINITY

  /** `limitMs`: 0 for none. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs
  }

  get isSlow(): boolean {
    return this.#limitMs > 0 && this.#meanMs > this.#limitMs
  }

  /** How long to rest between two pieces of work: at most half of the time is used. */
  get restMs(): number {
    return this.isSlow ? Math.min(this.#meanMs, longestRestMs) : 0
  }

  /** Whether something is to be done about it, now and not again for a while. */
  took(ms: number, nowMs: number): boolean {
    this.#meanMs += (ms - this.#meanMs) * weight
    if (!this.isSlow || nowMs - this.#toldAt < patienceMs) return false
    this.#toldAt = nowMs
    return true
  }
}
