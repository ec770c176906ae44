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
/** A flip may take this long to become durable. */
const flipMs = 5_000

export class Barrier implements Disposable {
  readonly #options: BarrierOptions
  readonly #ended = new AbortController()
  /** Whether a daemon has answered the last question; undefined before the first. */
  #isAnswered: boolean | undefined
  /** One question after the other: which of two has begun a freeze anew, nobody could tell. */
  #asking: Promise<void> = Promise.resolve()
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
    const before = this.#asking
    const asking = before.catch(() => undefined).then(() => this.#askOnce(signal))
    this.#asking = asking
    await asking
  }

  async #askOnce(signal: AbortSignal): Promise<void> {
    const { runDir, user, epoch } = this.#options
    const askedAt = performance.now()
    const report = await freezeUser(runDir, { user, epoch, ttl_ms: ttlMs }, signal)
    if (report?.superseded_by !== undefined) {
      const what = `${user}: frozen for another move (${report.superseded_by}, not ${epoch})`
      throw new MailmuxError('MOVE_UNFROZEN', what)
    }
    // A daemon that has come or gone since, and a freeze that began with this question.
    const isNew = report !== undefined && report.frozen_ms <= performance.now() - askedAt
    if (this.#isAnswered !== (report !== undefined) || isNew) this.#isBroken = true
    this.#isAnswered = report !== undefined
    this.#expiresAt = report === undefined ? Infinity : askedAt + report.expires_ms
    if (report?.complete !== false) return
    this.#isBroken = true
    throw new MailmuxError('MOVE_UNFROZEN', `${user}: ${describe(report.processes)}`)
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
