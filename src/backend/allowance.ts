/**
 * What a run may take of one server: connections at once, octets and commands a second, octets in a
 * day; and less of it while it is slow. All mailboxes of the run share it; each has a `Share`, which it
 * may make urgent for as long as its user is kept out.
 */
import type { Clock } from '../base/clock.ts'
import type { DayLimit } from './day-limit.ts'
import { Latency } from './latency.ts'
import { Seats } from './seats.ts'
import { TokenBucket } from './token-bucket.ts'
import { waitFor } from './wait-for.ts'

/** Undefined: as much as the server gives. */
export interface AllowanceLimits {
  readonly connections: number | undefined
  /** Octets in both directions together, before TLS. */
  readonly bytesPerSecond: number | undefined
  readonly commandsPerSecond?: number | undefined
  /** Of answers on average, above which the server is slow. 0: it never is. */
  readonly latencyLimitMs?: number
  /** Whether IMAP is compressed where the server offers that. */
  readonly compress?: boolean
}

export interface AllowanceOptions extends AllowanceLimits {
  readonly day?: DayLimit | undefined
  /** Throws where no piece of work may begin now. */
  readonly gate?: () => void
  readonly clock: Clock
  readonly random?: () => number
}

/** At least so much goes at once, whatever the rate: what is read at a time. */
const leastBurst = 65_536
/** A server that has done so much since it last refused is taken to be well. */
const muchBytes = 262_144

export class Allowance {
  readonly seats: Seats
  readonly clock: Clock
  readonly day: DayLimit | undefined
  readonly gate: (() => void) | undefined
  readonly bytesPerSecond: number | undefined
  readonly isCompressed: boolean
  readonly latency: Latency
  /** Connections that may add to one mailbox at once, as the server was found to bear. */
  mostAppends = Number.POSITIVE_INFINITY
  readonly #bytes: TokenBucket | undefined
  readonly #commands: TokenBucket | undefined
  #sinceRefusal = 0

  constructor(options: AllowanceOptions) {
    const { connections, bytesPerSecond, commandsPerSecond, clock, day, gate, ...rest } = options
    this.clock = clock
    this.gate = gate
    this.day = day
    this.bytesPerSecond = bytesPerSecond
    this.isCompressed = options.compress ?? false
    const latency = new Latency(options.latencyLimitMs ?? 0)
    this.latency = latency
    const most = connections ?? Number.POSITIVE_INFINITY
    this.seats = new Seats({ most, isSlow: () => latency.isSlow, clock, ...rest })
    const bucket = (perSecond: number | undefined, burst: number): TokenBucket | undefined =>
      perSecond === undefined
        ? undefined
        : new TokenBucket(perSecond, Math.max(perSecond, burst), clock.now())
    this.#bytes = bucket(bytesPerSecond, leastBurst)
    this.#commands = bucket(commandsPerSecond, 1)
  }

  share(): Share {
    return new Share(this)
  }

  /** Counts octets; returns in how many milliseconds they may go. */
  spend(bytes: number): number {
    this.day?.spend(bytes)
    this.#sinceRefusal += bytes
    if (this.#sinceRefusal >= muchBytes) this.seats.eased()
    return this.#bytes?.take(bytes, this.clock.now()) ?? 0
  }

  /** Counts a command; returns in how many milliseconds it may go. */
  command(): number {
    return this.#commands?.take(1, this.clock.now()) ?? 0
  }

  /** The server has answered after so many milliseconds. */
  answered(ms: number): void {
    if (this.latency.took(ms, this.clock.now())) this.seats.slowed()
  }

  refused(): void {
    this.#sinceRefusal = 0
    this.day?.forgo()
    this.seats.refused()
  }
}

/** What one mailbox takes of an allowance. */
export class Share {
  readonly #allowance: Allowance
  readonly #held = new Set<() => void>()
  #isUrgent = false

  constructor(allowance: Allowance) {
    this.#allowance = allowance
  }

  /** Nothing of it waits while its user does; what it takes is counted all the same. */
  set isUrgent(isUrgent: boolean) {
    this.#isUrgent = isUrgent
    if (!isUrgent) return
    for (const goOn of this.#held) goOn()
  }

  get isUrgent(): boolean {
    return this.#isUrgent
  }

  /** Undefined: as many as the server gives. */
  get bytesPerSecond(): number | undefined {
    return this.#allowance.bytesPerSecond
  }

  get isCompressed(): boolean {
    return this.#allowance.isCompressed
  }

  get mostAppends(): number {
    return this.#allowance.mostAppends
  }

  /** More of them than that are of no use, to whichever mailbox. */
  limitAppends(most: number): void {
    this.#allowance.mostAppends = Math.min(this.#allowance.mostAppends, most)
  }

  /** Nobody waits for this server any more. */
  get isHopeless(): boolean {
    return this.#allowance.seats.isHopeless
  }

  /**
   * Counts octets that came or are to go. Where they are too early, `goOn` is called when it is time,
   * once, and what calls that off is returned; else undefined.
   */
  spend(bytes: number, goOn: () => void): (() => void) | undefined {
    const waitMs = this.#allowance.spend(bytes)
    return waitMs <= 0 || this.#isUrgent ? undefined : this.after(waitMs, goOn)
  }

  /** As a clock does it, or earlier when it becomes urgent. */
  after(waitMs: number, goOn: () => void): () => void {
    const end = (): void => {
      cancel()
      this.#held.delete(release)
    }
    const release = (): void => {
      end()
      goOn()
    }
    const cancel = this.#allowance.clock.after(waitMs, release)
    this.#held.add(release)
    return end
  }

  /** Connections that this mailbox may make; to be disposed of when they are closed. */
  async seats(count: number, signal: AbortSignal): Promise<Disposable> {
    const { seats } = this.#allowance
    if (this.#isUrgent) seats.force(count)
    else await seats.take(count, signal)
    return this.#taken(count)
  }

  /** More of them, where there is room now. */
  trySeats(count: number): Disposable | undefined {
    return this.#allowance.seats.trySpare(count) ? this.#taken(count) : undefined
  }

  /** Waits until a command may be sent. Throws the reason of `signal`. */
  async command(signal: AbortSignal): Promise<void> {
    await this.#wait(this.#allowance.command(), signal)
  }

  /** What a clock says, to tell by how long an answer took. */
  now(): number {
    return this.#allowance.clock.now()
  }

  /** The server has begun to answer, so many milliseconds after it was asked. */
  answered(ms: number): void {
    this.#allowance.answered(ms)
  }

  /** What one piece of work should not take more than. */
  get pieceBytes(): number {
    const { day } = this.#allowance
    return day === undefined || this.#isUrgent ? Number.POSITIVE_INFINITY : day.pieceBytes
  }

  /**
   * Waits until a piece of work that takes so many octets may begin: not in a pause that the server
   * has asked for, and not at once where it is slow. Throws DAY_LIMIT_REACHED, what the gate throws,
   * and the reason of `signal`.
   */
  async admit(bytes: number, signal: AbortSignal): Promise<void> {
    if (!this.#isUrgent) {
      await this.#allowance.seats.pause(signal)
      await this.#wait(this.#allowance.latency.restMs, signal)
      this.#allowance.gate?.()
    }
    this.#allowance.day?.admit(bytes, this.#isUrgent)
  }

  /** The server says that it is too much, or has cut a connection. */
  refused(): void {
    this.#allowance.refused()
  }

  /** Whoever comes next is not to wait for what this one has waited for in vain. */
  giveUp(): void {
    this.#allowance.seats.endPause()
  }

  async #wait(waitMs: number, signal: AbortSignal): Promise<void> {
    if (waitMs > 0 && !this.#isUrgent) await waitFor(this, waitMs, signal)
  }

  #taken(count: number): Disposable {
    let isTaken = true
    return {
      [Symbol.dispose]: () => {
        if (isTaken) this.#allowance.seats.give(count)
        isTaken = false
      },
    }
  }
}
