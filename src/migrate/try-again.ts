/** Whether work on a mailbox that failed is tried again, and after how long. */
import { waitFor } from '../backend/wait-for.ts'
import type { Clock } from '../base/clock.ts'
import { MailmuxError } from '../base/error.ts'
import type { CopyEnds } from './copy-session.ts'

export interface TryLimits {
  readonly most: number
  /** What is waited before the second try; it doubles. 0: nothing. */
  readonly firstWaitMs: number
}

export interface TriesOptions extends TryLimits {
  readonly clock: Clock
}

export class Tries {
  readonly #options: TriesOptions
  #failed = 0

  constructor(options: TriesOptions) {
    this.#options = options
  }

  /**
   * Returns when it is time to try again; throws `error` where that is in vain, and the reason of
   * `signal`. A server that wants less is waited for by whoever takes connections to it again, for as
   * long as its refusals are not too many in a row; while a user is frozen nobody waits for it.
   */
  async after(error: unknown, ends: CopyEnds, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    if (!(error instanceof MailmuxError)) throw error
    const shares = [ends.source.share, ends.target.share].filter((share) => share !== undefined)
    const isUrgent = shares.some((share) => share.isUrgent)
    if (error.code === 'BACKEND_THROTTLED' && !isUrgent) {
      const hopeless = shares.filter((share) => share.isHopeless)
      if (shares.length > 0 && hopeless.length === 0) return
      for (const share of hopeless) share.giveUp()
      throw error
    }
    if (error.code !== 'BACKEND_UNREACHABLE' && error.code !== 'BACKEND_THROTTLED') throw error
    const { most, firstWaitMs, clock } = this.#options
    this.#failed++
    if (this.#failed >= most) throw error
    if (firstWaitMs > 0) await waitFor(clock, firstWaitMs * 2 ** (this.#failed - 1), signal)
  }
}
