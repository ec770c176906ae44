/**
 * How many connections a run may have to one server at once, and when: never more than it is allowed,
 * fewer while the server says that it is too much, and more again, step by step, when it does not.
 *
 * Who copies a mailbox takes all that this needs before the first connection is made, so that two who
 * have half of it each never wait for each other. Who waits longest is served first.
 */
import type { Clock } from '../base/clock.ts'
import { waitFor } from './wait-for.ts'

/** What one mailbox needs at a server; a run never has room for less. */
export const fewestSeats = 3

/** The pause after the first refusal in a row; it doubles with each. Milliseconds. */
const firstPauseMs = 1_000
const longestPauseMs = 300_000
/** Room for one mailbox more after each such time in which the server has not refused. */
const climbEveryMs = 60_000
/** Refusals in a row after which nobody waits for this server any more. */
const mostRefusals = 10

interface Waiting {
  readonly count: number
  readonly admit: () => void
}

export interface SeatsOptions {
  /** Infinity: as many as are asked for. At least `fewestSeats`. */
  readonly most: number
  readonly clock: Clock
  /** Then there will not be more of them. */
  readonly isSlow?: () => boolean
  /** From 0 to 1: so that several who were refused do not come again at once. */
  readonly random?: () => number
}

export class Seats {
  readonly #most: number
  readonly #clock: Clock
  readonly #isSlow: () => boolean
  readonly #random: () => number
  readonly #waiting = new Set<Waiting>()
  #taken = 0
  #allowed: number
  #refusals = 0
  #pausedUntil = Number.NEGATIVE_INFINITY
  #climbFrom = Number.NEGATIVE_INFINITY
  #cancelTimer: (() => void) | undefined

  constructor({ most, clock, isSlow = () => false, random = Math.random }: SeatsOptions) {
    this.#most = Math.max(most, fewestSeats)
    this.#allowed = this.#most
    this.#clock = clock
    this.#isSlow = isSlow
    this.#random = random
  }

  get taken(): number {
    return this.#taken
  }

  /** How many there may be now. */
  get allowed(): number {
    this.#climb()
    return this.#allowed
  }

  /** It has refused again and again: waiting for it is in vain. */
  get isHopeless(): boolean {
    return this.#refusals >= mostRefusals
  }

  /** Resolves when they are taken. Throws the reason of `signal`. */
  async take(count: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (this.#waiting.size === 0 && this.tryTake(count)) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waiting: Waiting = { count, admit: resolve }
    const giveUp = (): void => {
      this.#waiting.delete(waiting)
      reject(signal.reason as Error)
      this.#serve()
    }
    this.#waiting.add(waiting)
    signal.addEventListener('abort', giveUp, { once: true })
    this.#serve()
    await promise.finally(() => signal.removeEventListener('abort', giveUp))
  }

  /** False: not now. */
  tryTake(count: number): boolean {
    if (this.#clock.now() < this.#pausedUntil) return false
    // Whoever is alone has room, or nothing would ever be done.
    if (this.#taken > 0 && this.#taken + count > this.allowed) return false
    this.#taken += count
    return true
  }

  /** The same, where nobody waits for them who could do nothing without. */
  trySpare(count: number): boolean {
    return this.#waiting.size === 0 && this.tryTake(count)
  }

  /** Somebody cannot wait: beyond what is allowed, if it must be. */
  force(count: number): void {
    this.#taken += count
  }

  give(count: number): void {
    this.#taken -= count
    this.#serve()
  }

  /** The server says that it is too much. What others hear during a pause is of before it. */
  refused(): void {
    const now = this.#clock.now()
    if (now < this.#pausedUntil) return
    this.#climb()
    this.#refusals++
    const pauseMs = Math.min(longestPauseMs, firstPauseMs * 2 ** (this.#refusals - 1))
    this.#pausedUntil = now + pauseMs * (0.75 + this.#random() / 2)
    this.#halve(this.#pausedUntil)
    this.#serve()
  }

  /** It is slow: fewer come from now on, nobody is sent away. */
  slowed(): void {
    this.#halve(this.#clock.now())
  }

  /** It has done a good deal since it last refused. */
  eased(): void {
    this.#refusals = 0
  }

  /** It is over at once: somebody else may find what this one has not. */
  endPause(): void {
    this.#pausedUntil = Number.NEGATIVE_INFINITY
    this.#serve()
  }

  /** Waits for the end of a pause. Throws the reason of `signal`. */
  async pause(signal: AbortSignal): Promise<void> {
    for (let left = this.#pauseLeft(); left > 0; left = this.#pauseLeft()) {
      await waitFor(this.#clock, left, signal)
    }
  }

  #halve(climbFrom: number): void {
    this.#climbFrom = climbFrom
    const had = Math.min(this.#allowed, Math.max(this.#taken, fewestSeats))
    this.#allowed = Math.max(fewestSeats, Math.floor(had / 2))
  }

  #pauseLeft(): number {
    return Math.ceil(this.#pausedUntil - this.#clock.now())
  }

  #climb(): void {
    if (this.#allowed >= this.#most) return
    if (this.#isSlow()) this.#climbFrom = Math.max(this.#climbFrom, this.#clock.now())
    const steps = Math.floor((this.#clock.now() - this.#climbFrom) / climbEveryMs)
    if (steps < 1) return
    this.#allowed = Math.min(this.#most, this.#allowed + steps * fewestSeats)
    this.#climbFrom += steps * climbEveryMs
    this.#refusals = 0
  }

  #serve(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = undefined
    for (const waiting of this.#waiting) {
      if (!this.tryTake(waiting.count)) break
      this.#waiting.delete(waiting)
      waiting.admit()
    }
    if (this.#waiting.size === 0) return
    const now = this.#clock.now()
    const isClimbing = this.#allowed < this.#most
    const at = now < this.#pausedUntil ? this.#pausedUntil : this.#climbFrom + climbEveryMs
    // Else whoever gives theirs back serves them.
    if (now < this.#pausedUntil || isClimbing) {
      // Of a fraction, a timer could come just before its time, again and again.
      this.#cancelTimer = this.#clock.after(Math.ceil(at - now), () => this.#serve())
    }
  }
}
