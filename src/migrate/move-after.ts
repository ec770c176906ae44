/** `mailmux migrate --then move`: each user moves when the mailbox has been copied. */
import type { ErrorCode } from '../base/error.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { BackendConfig, Config } from '../config/config.ts'
import type { MigrationOptions } from './migrate-user.ts'
import type { UsersPlan } from './migrate-users.ts'
import type { UserReport } from './migration-report.ts'
import { isFlipped } from './move-machine.ts'
import { describeAwaited } from './move-report.ts'
import { moveUser } from './move-user.ts'
import type { RunLimits } from './run-limits.ts'
import type { MigratingUser } from './select-users.ts'

export interface MoveAfter {
  readonly to: BackendConfig
  readonly merge: boolean
  readonly maxBad: number
  readonly ignores: MigrationOptions['ignores']
  readonly limits: RunLimits
}

/** What becomes of one user does not keep the others from moving. */
export function moveAfter(
  config: Config,
  { to, merge, maxBad, ignores, limits }: MoveAfter,
  signal: AbortSignal,
): NonNullable<UsersPlan['andThen']> {
  return async (migrating: MigratingUser, report: UserReport): Promise<UserReport> => {
    const { user, sourceLogin, targetLogin } = migrating
    const notes = [...report.notes]
    const listener = {
      step: () => undefined,
      progress: () => undefined,
      note: (text: string) => void notes.push(text),
    }
    try {
      if (sourceLogin !== targetLogin) {
        const what = `${user} is ${sourceLogin} here and ${targetLogin} there`
        throw new MailmuxError('MOVE_REFUSED', `${what}: a move keeps the name`)
      }
      const waits = false
      const allowed = { merge, maxBad, ignores }
      const request = { user, to, order: 'begun', ...allowed, limits, waits } as const
      const { result, record } = await moveUser(config, request, listener, signal)
      const { copied = 0, bytes = 0, freezeMs = 0, error } = record?.details ?? {}
      const told = {
        ...report,
        copied: report.copied + copied,
        bytes: report.bytes + bytes,
        notes: [...new Set(notes)],
      }
      // It was given a time, and is left to whoever goes on with it then.
      if (result === 'waiting' && record !== undefined) {
        return { ...told, notes: [...told.notes, describeAwaited(record, 0)] }
      }
      if (result !== 'failed') return { ...told, moved: { freeze_ms: freezeMs } }
      const { code = 'INTERNAL', message = '' } = error ?? {}
      const failed = {
        ...told,
        result: 'failed',
        error: { code: code as ErrorCode, message },
      } as const
      if (record === undefined || !isFlipped(record.step)) return failed
      // Nobody looks for the user at the source any more, and so not for the end of the move.
      const awaits = `${user} lives at ${to.name}; run \`mailmux user move ${user} --to ${to.name}\``
      const left = { ...failed.error, message: `${message}; ${awaits} to end the move` }
      return { ...failed, error: left, moved: { freeze_ms: freezeMs } }
    } catch (error) {
      const code = error instanceof MailmuxError ? error.code : 'INTERNAL'
      return { ...report, result: 'failed', error: { code, message: messageOf(error) } }
    }
  }
}
