/** The connections of a move: opened when they are wanted, and anew after a back-end has failed. */
import type { Clock } from '../base/clock.ts'
import type { CopyJournal } from '../map/state/copy-journal.ts'
import { MailboxCopy, type MailboxPlan } from './copy-mailbox.ts'
import { Tries, type TryLimits } from './try-again.ts'

export class MoveCopy implements AsyncDisposable {
  readonly #plan: MailboxPlan
  readonly #journal: CopyJournal
  readonly #clock: Clock
  #copy: MailboxCopy | undefined
  /** Cuts its connections. */
  #cut = new AbortController()

  constructor(plan: MailboxPlan, journal: CopyJournal, clock: Clock) {
    this.#plan = plan
    this.#journal = journal
    this.#clock = clock
  }

  /** Throws as `MailboxCopy.open` does. The end of `signal` ends what is under way, too. */
  async open(signal: AbortSignal): Promise<MailboxCopy> {
    if (this.#copy === undefined) this.#cut = new AbortController()
    const cut = this.#cut
    signal.throwIfAborted()
    // What is under way when the freeze must end is not waited for.
    signal.addEventListener('abort', () => cut.abort(signal.reason), { once: true })
    this.#copy ??= await MailboxCopy.open(this.#plan, this.#journal, cut.signal)
    return this.#copy
  }

  /** Over new connections again, as often as `most` says. */
  async trying<Result>(
    most: TryLimits,
    signal: AbortSignal,
    work: (copy: MailboxCopy) => Promise<Result>,
  ): Promise<Result> {
    const trying = new Tries({ ...most, clock: this.#clock })
    for (;;) {
      try {
        return await work(await this.open(signal))
      } catch (error) {
        await this[Symbol.asyncDispose]()
        await trying.after(error, this.#plan.ends, signal)
      }
    }
  }

  /** It may be opened again. */
  async [Symbol.asyncDispose](): Promise<void> {
    const copy = this.#copy
    this.#copy = undefined
    await copy?.[Symbol.asyncDispose]()
  }
}
