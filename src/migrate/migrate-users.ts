/** Brings many users' mailboxes from one back-end to another, several at a time. */
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { CopyJournal } from '../map/state/copy-journal.ts'
import { WindowedRun } from './in-windows.ts'
import { migrateUser, type MigrationOptions, type Progress } from './migrate-user.ts'
import type { MigrationReport, UserReport } from './migration-report.ts'
import type { RunLimits } from './run-limits.ts'
import type { MigratingUser } from './select-users.ts'

export interface UsersPlan {
  readonly doors: { readonly source: MailboxDoor; readonly target: MailboxDoor }
  readonly users: readonly MigratingUser[]
  /** Mailboxes at a time. */
  readonly jobs: number
  readonly options: MigrationOptions
  /** The doors have their shares of it. */
  readonly limits: RunLimits
  /** False: it ends where it would wait for the next window. */
  readonly waits?: boolean
  /** Done with each whose mailbox is equal. */
  readonly andThen?: (user: MigratingUser, report: UserReport) => Promise<UserReport>
}

export interface MigrationListener {
  progress(progress: Progress): void
  ended(report: UserReport): void
  /** It is outside of the windows; the next begins then, in milliseconds since 1970. */
  closed?(opensAt: number): void
}

const endsAll: ReadonlySet<string | undefined> = new Set(['DAY_LIMIT_REACHED', 'WINDOW_CLOSED'])

/** Throws STATE_UNUSABLE and STATE_DAMAGED. The end of `signal` ends it in order, with a report. */
export async function migrateUsers(
  { doors, users, jobs, options, limits, waits = true, andThen }: UsersPlan,
  listener: MigrationListener,
  signal: AbortSignal,
): Promise<MigrationReport> {
  const startedAt = performance.now()
  using _limits = limits
  using journal = await CopyJournal.open(options.stateDir)
  const waiting = [...users]
  const reports: UserReport[] = []
  const onClosed = (opensAt: number): void => listener.closed?.(opensAt)
  const windowed = new WindowedRun({ limits, waits, onClosed, signal })
  const run = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (signal.aborted) return
      const { user, sourceLogin, targetLogin } = next
      const ends = {
        source: doors.source.accessTo(sourceLogin),
        target: doors.target.accessTo(targetLogin),
      }
      const onProgress = (progress: Progress): void => listener.progress(progress)
      try {
        const { clock } = limits
        const work = { user, ends, journal, options, onProgress, clock, signal }
        const report = await windowed.through({
          copy: () => migrateUser(work),
          move: andThen && ((copied) => andThen(next, copied)),
        })
        // Others would come no further.
        if (report === undefined || endsAll.has(report.error?.code)) waiting.length = 0
        if (report === undefined) return
        reports.push(report)
        listener.ended(report)
      } catch (error) {
        if (!signal.aborted) throw error
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(jobs, users.length) }, run))
  const failed = reports.filter(({ result }) => result === 'failed').length
  const sum = (of: 'copied' | 'bytes'): number =>
    reports.reduce((total, report) => total + report[of], 0)
  return {
    from: options.from,
    to: options.to,
    users: reports,
    done: reports.length - failed,
    failed,
    untouched: users.length - reports.length,
    copied: sum('copied'),
    bytes: sum('bytes'),
    ms: Math.round(performance.now() - startedAt),
  }
}
