/** A migration that works in some hours only: each mailbox is gone on with in the next, until it is through. */
import type { RunLimits } from './run-limits.ts'
import type { UserReport } from './migration-report.ts'

export interface WindowedOptions {
  readonly limits: RunLimits
  /** False: it ends where it would wait for the next window. */
  readonly waits: boolean
  /** Told once of each window that is waited for, or not. Milliseconds since 1970. */
  readonly onClosed: (opensAt: number) => void
  readonly signal: AbortSignal
}

/** What is done with one mailbox, in order; the second only when the first has gone well. */
export interface MailboxStages {
  readonly copy: () => Promise<UserReport>
  /** Takes over what the report of the copy says. */
  readonly move: ((copied: UserReport) => Promise<UserReport>) | undefined
}

export class WindowedRun {
  readonly #options: WindowedOptions
  #told: number | undefined

  constructor(options: WindowedOptions) {
    this.#options = options
  }

  /** Undefined where it was not begun. Throws what the stages throw, and the reason of the signal. */
  async through({ copy, move }: MailboxStages): Promise<UserReport | undefined> {
    const copied = await this.#stage(copy, added)
    if (copied === undefined || move === undefined || copied.result !== 'done') return copied
    // A user who has moved is never copied again: only the move is gone on with. What it tells is of
    // all its runs.
    const moved = await this.#stage(
      () => move(copied),
      (report) => report,
    )
    return moved ?? { ...copied, result: 'failed', error: this.#options.limits.closed }
  }

  async #stage(
    work: () => Promise<UserReport>,
    add: (report: UserReport, last: UserReport | undefined) => UserReport,
  ): Promise<UserReport | undefined> {
    let last: UserReport | undefined
    while (await this.#isOpen()) {
      const report = add(await work(), last)
      const { limits, waits, signal } = this.#options
      if (report.error?.code !== 'WINDOW_CLOSED' || !waits) return report
      last = report
      // What is left of one may be too short for a freeze.
      await limits.untilClosed(signal)
    }
    return last
  }

  async #isOpen(): Promise<boolean> {
    const { limits, waits, onClosed, signal } = this.#options
    const { opensAt } = limits
    if (opensAt === undefined) return true
    if (this.#told !== opensAt) onClosed(opensAt)
    this.#told = opensAt
    if (waits) await limits.untilOpen(signal)
    return waits
  }
}

/** With what was done in earlier windows. */
function added(report: UserReport, last: UserReport | undefined): UserReport {
  if (last === undefined) return report
  return {
    ...report,
    copied: report.copied + last.copied,
    bytes: report.bytes + last.bytes,
    passes: report.passes + last.passes,
    ms: report.ms + last.ms,
  }
}
