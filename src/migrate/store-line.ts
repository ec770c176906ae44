/**
 * Pieces of work that are done side by side, and end in the order in which they were begun: each is
 * given a promise of the end of all that are before it.
 */
export class StoreLine {
  /** Rejects as soon as any of them has failed. */
  #last: Promise<void> = Promise.resolve()
  /** Never rejects. */
  #settled: Promise<void> = Promise.resolve()
  readonly #failed = new AbortController()

  /** Throws what the first failure was. */
  throwIfFailed(): void {
    this.#failed.signal.throwIfAborted()
  }

  /** Begins one more. What it returns rejects where it fails, or any before it. */
  add(work: (before: Promise<void>) => Promise<void>): Promise<void> {
    const before = this.#last
    const own = work(before).catch((error: unknown) => {
      this.#failed.abort(error)
      throw error
    })
    const both = Promise.all([before, own]).then(() => undefined)
    this.#settled = Promise.allSettled([this.#settled, own]).then(() => undefined)
    this.#last = both
    // Told of by `end`.
    both.catch(() => undefined)
    return both
  }

  /** Waits for all of them. Throws as `throwIfFailed`. */
  async end(): Promise<void> {
    await this.#settled
    this.throwIfFailed()
  }
}
