/**
 * How long a client is waited for, by one deadline. While the worker is crowded nobody is waited for
 * longer than ten seconds, those included who came before: so the deadline comes at least that
 * often, and looks whether the time is up. A message must also come at a least rate, averaged over
 * a minute, in which the time that we made the client wait does not count.
 */
import { limits, waits } from '../../base/limit.ts'
import type { RefusalReason } from '../../base/log.ts'
import { deadlines, type Timed } from '../../net/deadline.ts'
import type { Runtime } from '../runtime.ts'

export interface PatienceOwner {
  /** The time is up: what was waited for has not come. */
  outOfPatience(reason: Extract<RefusalReason, 'idle_timeout' | 'slow_data'>): void
  /** The client did not close in its time. */
  closedTooLate(): void
}

type Mode = 'turn' | 'message' | 'closing'

export class ClientPatience implements Timed {
  due: Timed['due']
  readonly #owner: PatienceOwner
  readonly #runtime: Pick<Runtime, 'isCrowded' | 'current'>
  #mode: Mode = 'turn'
  #limitMs = 0
  /** When the client was heard last, or its time began. */
  #sinceTick = 0
  #bytes = 0
  /** Time spent on this message in earlier waits. */
  #spentMs = 0
  /** When the present wait began. */
  #waitTick = 0
  #windowBytes = 0
  #windowMs = 0

  constructor(owner: PatienceOwner, runtime: Pick<Runtime, 'isCrowded' | 'current'>) {
    this.#owner = owner
    this.#runtime = runtime
  }

  /** The client has so long for all that it does until `rest`. */
  allow(limitMs: number): void {
    this.#limitMs = limitMs
    this.#begin('turn')
  }

  /** The client has its time to log in, from now on. */
  allowLogin(): void {
    this.allow(this.#runtime.current.config.limits.preauthTimeoutMs)
  }

  /** A command is waited for: the next one, or more of the one whose time has begun. */
  awaitCommand(limitMs: number, isNext: boolean): void {
    if (isNext || this.#mode !== 'turn' || this.due === undefined) this.allow(limitMs)
  }

  /** More of a message is waited for. `bytes`: all that the client has sent so far. */
  awaitMessage(limitMs: number, bytes: number): void {
    this.#limitMs = limitMs
    this.#bytes = bytes
    if (this.#mode !== 'message') {
      this.#spentMs = 0
      this.#windowMs = 0
      this.#windowBytes = bytes
    }
    this.#begin('message')
  }

  /** It is not the client that is waited for. */
  rest(): void {
    if (this.due === undefined) return
    this.#spentMs += deadlines.since(this.#waitTick)
    deadlines.disarm(this)
  }

  /** The client is to close. */
  awaitClose(): void {
    deadlines.disarm(this)
    this.#mode = 'closing'
    deadlines.arm(this, waits.closeMs)
  }

  timedOut(): void {
    if (this.#mode === 'closing') {
      this.#owner.closedTooLate()
      return
    }
    this.#spentMs += deadlines.since(this.#waitTick)
    const limitMs = this.#runtime.isCrowded
      ? Math.min(this.#limitMs, waits.crowdedMs)
      : this.#limitMs
    const leftMs = limitMs - deadlines.since(this.#sinceTick)
    if (leftMs <= 0) this.#owner.outOfPatience('idle_timeout')
    else if (this.#mode === 'message' && this.#isSlow()) this.#owner.outOfPatience('slow_data')
    else this.#arm(leftMs)
  }

  /** A deadline that is set already only learns when the client was heard. */
  #begin(mode: Mode): void {
    this.#mode = mode
    this.#sinceTick = deadlines.tick
    if (this.due === undefined) this.#arm(this.#limitMs)
  }

  #arm(leftMs: number): void {
    this.#waitTick = deadlines.tick
    deadlines.arm(this, Math.min(leftMs, waits.crowdedMs))
  }

  #isSlow(): boolean {
    if (this.#spentMs - this.#windowMs < limits.dataRateWindowMs) return false
    const least = (limits.dataRateBytes * limits.dataRateWindowMs) / 1000
    const isSlow = this.#bytes - this.#windowBytes < least
    this.#windowMs = this.#spentMs
    this.#windowBytes = this.#bytes
    return isSlow
  }
}
