/** Wakes the queue when the next message is due, and sees whether the host's clock was set meanwhile. */
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'

/** It is woken at least so often, to look at the clock on the wall. */
const longestSleepMs = 60_000
const shortestSleepMs = 50
const stepMs = 10_000

export class QueueTimer {
  readonly #clock: Clock
  readonly #log: Log
  readonly #wake: () => void
  #cancel: () => void = () => undefined
  #at = Infinity
  #isStopped = false
  /** Between the two clocks. */
  #offset: number

  constructor(clock: Clock, log: Log, wake: () => void) {
    this.#clock = clock
    this.#log = log
    this.#wake = wake
    this.#offset = clock.wall() - clock.now()
  }

  /** Wakes at that monotonic time, unless it does so earlier already. */
  noLaterThan(at: number): void {
    if (at < this.#at) this.set(at)
  }

  set(at: number): void {
    this.#cancel()
    if (this.#isStopped) return
    const now = this.#clock.now()
    const waitMs = Math.min(longestSleepMs, Math.max(shortestSleepMs, at - now))
    this.#at = now + waitMs
    this.#cancel = this.#clock.after(waitMs, () => {
      this.#lookAtWall()
      this.#wake()
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #lookAtWall(): void {
    const offset = this.#clock.wall() - this.#clock.now()
    const step = offset - this.#offset
    if (Math.abs(step) < stepMs) return
    this.#offset = offset
    this.#log('clock.stepped', { step_ms: Math.round(step) })
  }
}
