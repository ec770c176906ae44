/**
 * So much in a time on average, and no more than a burst at once. Pure: whoever uses it tells the
 * time, in monotonic milliseconds.
 *
 * Who takes is served in order, each after a time that is told at once and that nobody who comes later
 * makes longer. What may be used by any moment is at most the burst and what has come since the start.
 */
export class TokenBucket {
  readonly #perMs: number
  readonly #burst: number
  /** Below nothing where more was taken than there was. */
  #level: number
  #at: number

  constructor(perSecond: number, burst: number, nowMs: number) {
    this.#perMs = perSecond / 1000
    this.#burst = burst
    this.#level = burst
    this.#at = nowMs
  }

  /** Returns in how many milliseconds all of it may be used. */
  take(amount: number, nowMs: number): number {
    const elapsedMs = Math.max(0, nowMs - this.#at)
    this.#level = Math.min(this.#burst, this.#level + elapsedMs * this.#perMs) - amount
    this.#at = Math.max(this.#at, nowMs)
    return this.#level >= 0 ? 0 : -this.#level / this.#perMs
  }
}
