/**
 * Back-ends that could not be reached, and when each is tried again by one message ahead of its time,
 * so that the mail of hours does not wait for an hour more when it is up.
 */
import type { Clock } from '../../base/clock.ts'

/** A little longer than the time that the breaker keeps everybody off. */
const probeMs = 45_000

export class QueueProbes {
  readonly #clock: Clock
  /** Sends one message; false where none waits for that back-end any more. */
  readonly #probe: (backend: string) => boolean
  readonly #down = new Map<string, () => void>()
  #isStopped = false

  constructor(clock: Clock, probe: (backend: string) => boolean) {
    this.#clock = clock
    this.#probe = probe
  }

  unreachable(backend: string): void {
    if (!this.#isStopped && !this.#down.has(backend)) this.#arm(backend)
  }

  /** It has answered; false where it was not known to be down. */
  reached(backend: string): boolean {
    this.#down.get(backend)?.()
    return this.#down.delete(backend)
  }

  stop(): void {
    this.#isStopped = true
    for (const cancel of this.#down.values()) cancel()
    this.#down.clear()
  }

  #arm(backend: string): void {
    const cancel = this.#clock.after(probeMs, () => {
      if (this.#probe(backend)) this.#arm(backend)
      else this.#down.delete(backend)
    })
    this.#down.set(backend, cancel)
  }
}
