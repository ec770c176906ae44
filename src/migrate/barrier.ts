/**
 * The freeze of one user, held for as long as a move needs it: the daemon of the host is asked again
 * and again, so that it ends soon where nobody asks any more. Where no daemon runs there is nobody to
 * keep out.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { MailmuxError, messageOf } from '../base/error.ts'
import { freezeUser, thawUser } from '../control/freeze.ts'

export interface BarrierOptions {
  readonly runDir: string
  readonly user: string
  readonly epoch: number
}

/** A mover that dies leaves the user frozen so long. */
const ttlMs = 30_000
const renewEveryMs = 8_000
/** What a clock that is read at both ends of a socket may differ by. */
const toleranceMs = 20
/** A flip may take this long to become durable. */
const flipMs = 5_000

export class Barrier implements Disposable {
  readonly #options: BarrierOptions
  readonly #ended = new AbortController()
  /** When the daemon says that it has been frozen since; undefined: there is none. */
  #since: number | undefined
  #expiresAt = Number.POSITIVE_INFINITY
  #isBroken = false

  private constructor(options: BarrierOptions) {
    this.#options = options
  }

  /** Throws MOVE_UNFROZEN where something goes on all the same, and DAEMON_UNREACHABLE. */
  static async raise(options: BarrierOptions, signal: AbortSignal): Promise<Barrier> {
    const barrier = new Barrier(options)
    await barrier.#ask(signal)
    barrier.#isBroken = false
    void barrier.#renew()
    return barrier
  }

  /** From now on counts whether it holds without a gap. */
  mark(): void {
    this.#isBroken = false
  }

  /** Asks whether it has held since the mark. Throws as `raise` does. */
  async holds(signal: AbortSignal): Promise<boolean> {
    await this.#ask(signal)
    return !this.#isBroken
  }

  /** Whether it will for long enough to give the user another home now. */
  get isSure(): boolean {
    return !this.#isBroken && performance.now() + flipMs < this.#expiresAt
  }

  /** Nobody asks for it any more. */
  [Symbol.dispose](): void {
    this.#ended.abort()
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { runDir, user, epoch } = this.#options
    const askedAt = performance.now()
    const report = await freezeUser(runDir, { user, epoch, ttl_ms: ttlMs }, signal)
    if (report === undefined) {
      this.#see(undefined)
      this.#expiresAt = Number.POSITIVE_INFINITY
      return
    }
    if (report.superseded_by !== undefined) {
      const what = `${user}: frozen for another move (${report.superseded_by}, not ${epoch})`
      throw new MailmuxError('MOVE_UNFROZEN', what)
    }
    if (!report.complete) {
      this.#isBroken = true
      throw new MailmuxError('MOVE_UNFROZEN', `${user}: ${describe(report.processes)}`)
    }
    this.#see(performance.now() - report.frozen_ms)
    this.#expiresAt = askedAt + report.expires_ms
  }

  /** A freeze that began later than the one before it leaves a gap; so does a daemon that comes or goes. */
  #see(since: number | undefined): void {
    const before = this.#since
    this.#since = since
    if (before === undefined && since === undefined) return
    if (before !== undefined && since !== undefined && since <= before + toleranceMs) {
      // The earlier one is kept: a slow answer must not move it on, step by step.
      this.#since = Math.min(before, since)
      return
    }
    this.#isBroken = true
  }

  /** What fails is found by the next question. */
  async #renew(): Promise<void> {
    const { signal } = this.#ended
    try {
      for (;;) {
        await wait(renewEveryMs, undefined, { signal, ref: false })
        await this.#ask(signal)
      }
    } catch {
      this.#isBroken ||= !signal.aborted
    }
  }
}

function describe(processes: readonly { readonly worker: number; complete: boolean }[]): string {
  const late = processes.filter(({ complete }) => !complete).map(({ worker }) => worker)
  return `sessions or deliveries go on in workers ${late.join(', ')}`
}

/** Lets the user in again. Throws DAEMON_UNREACHABLE. */
export async function endFreeze({ runDir, user, epoch }: BarrierOptions): Promise<void> {
  try {
    await thawUser(runDir, { user, epoch })
  } catch (error) {
    const what = `${user}: still frozen, for ${ttlMs / 1000} s at most: ${messageOf(error)}`
    throw new MailmuxError('DAEMON_UNREACHABLE', what, { cause: error })
  }
}
