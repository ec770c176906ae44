/**
 * When the replacement of a worker that died may start: at once, as long as deaths are rare; from
 * the fifth within a minute on, after a wait that doubles with each further one.
 */
const windowMs = 60_000
const freeCrashes = 4
const firstDelayMs = 1_000
const longestDelayMs = 30_000

export class RestartPolicy {
  #crashes: number[] = []

  /** Notes a death at `nowMs` (monotonic); returns how long to wait, in milliseconds. */
  delayAfterCrash(nowMs: number): number {
    this.#crashes = this.#crashes.filter((at) => at > nowMs - windowMs)
    this.#crashes.push(nowMs)
    const tooMany = this.#crashes.length - freeCrashes
    return tooMany <= 0 ? 0 : Math.min(firstDelayMs * 2 ** (tooMany - 1), longestDelayMs)
  }

  /** Deaths within the last minute, as of the last one. */
  get crashes(): number {
    return this.#crashes.length
  }
}
