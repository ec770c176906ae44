/** The lock of a mailbox as a move has it, which lets others at it while it waits for its time. */
import { MailmuxError } from '../base/error.ts'
import { waitFor } from '../backend/wait-for.ts'
import type { Clock } from '../base/clock.ts'
import { lockMailbox } from '../map/state/mailbox-lock.ts'

/** How often it is looked whether others have done something, or are through. */
export const lookEveryMs = 2_000

export class MailboxHold implements Disposable {
  readonly #stateDir: string
  readonly #user: string
  #lock: Disposable | undefined

  private constructor(stateDir: string, user: string, lock: Disposable) {
    this.#stateDir = stateDir
    this.#user = user
    this.#lock = lock
  }

  /** Throws MIGRATION_BUSY. */
  static async take(stateDir: string, user: string): Promise<MailboxHold> {
    return new MailboxHold(stateDir, user, await lockMailbox(stateDir, user))
  }

  letGo(): void {
    this.#lock?.[Symbol.dispose]()
    this.#lock = undefined
  }

  /** Throws MIGRATION_BUSY. */
  async takeAgain(): Promise<void> {
    this.#lock ??= await lockMailbox(this.#stateDir, this.#user)
  }

  /** Waits while somebody else has it. Throws the reason of `signal`. */
  async takeWhenFree(clock: Clock, signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.takeAgain()
      } catch (error) {
        if (!(error instanceof MailmuxError) || error.code !== 'MIGRATION_BUSY') throw error
        await waitFor(clock, lookEveryMs, signal)
      }
    }
  }

  [Symbol.dispose](): void {
    this.letGo()
  }
}
