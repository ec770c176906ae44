/** What a migration tells of each user and of all, as `--json` prints it. */
import { counted } from '../base/counted.ts'
import { type ErrorCode, errorCatalogue } from '../base/error.ts'
import type { ReportedBad } from './bad-messages.ts'
import { formatDuration } from '../control/status-text.ts'
import type { MailboxVerdict } from './verify-mailbox.ts'

/** Octets are absent where the source does not tell them without being read. */
export interface Estimate {
  readonly folders: number
  readonly messages: number
  readonly bytes?: number
  /** Where it was only looked at: how long copying and comparing, and a freeze, would take about. */
  readonly copy_ms?: number
  readonly freeze_ms?: number
}

export interface UserReport {
  readonly user: string
  /** planned: nothing was to be done but to look. */
  readonly result: 'done' | 'planned' | 'failed'
  readonly estimate?: Estimate
  /** Of this run. */
  readonly copied: number
  readonly bytes: number
  readonly passes: number
  /** How long the last pass took, which is about what a freeze would; milliseconds. */
  readonly last_pass_ms?: number
  readonly ms: number
  /** What is there otherwise than at the source: names, flags. */
  readonly notes: readonly string[]
  /** What is not there. */
  readonly problems: readonly string[]
  readonly bad: readonly ReportedBad[]
  /** Sieve scripts that were put there in this run. */
  readonly scripts?: number
  /** Messages that POP3 clients will know at the target by the UIDLs that they have at the source. */
  readonly uidls?: number
  /** Rights of others and annotations that were set or taken away there in this run. */
  readonly extras?: number
  readonly verified?: MailboxVerdict
  /** The user lives at the target now; milliseconds of the freeze. */
  readonly moved?: { readonly freeze_ms: number }
  readonly error?: { readonly code: ErrorCode; readonly message: string }
}

export interface MigrationReport {
  readonly from: string
  readonly to: string
  readonly users: readonly UserReport[]
  readonly done: number
  readonly failed: number
  /** Users that it was ended before. */
  readonly untouched: number
  readonly copied: number
  readonly bytes: number
  readonly ms: number
}

/** sysexits.h: 75 where the same command may do better later. */
export function exitCodeOf({ users, untouched }: MigrationReport): number {
  const failed = users.filter(({ result }) => result === 'failed')
  if (failed.length === 0) return untouched > 0 ? 75 : 0
  const mayPass = failed.every(({ error }) => error !== undefined && isTemporary(error.code))
  return mayPass ? 75 : 1
}

function isTemporary(code: ErrorCode): boolean {
  return errorCatalogue[code].exit === 75
}

/** For a line of text: `12 messages, 3.4 MB`. */
export function describeAmount(messages: number, bytes: number | undefined): string {
  const count = counted(messages, 'message')
  return bytes === undefined ? count : `${count}, ${describeBytes(bytes)}`
}

export function describeBytes(bytes: number): string {
  for (const [unit, size] of [
    ['GB', 1e9],
    ['MB', 1e6],
    ['kB', 1e3],
  ] as const) {
    if (bytes >= size) return `${(bytes / size).toFixed(1)} ${unit}`
  }
  return `${bytes} B`
}

/** `1,234 messages, 56.1 MB in 12 folders, about 40s to copy, 1s frozen`. */
export function describeEstimate({
  folders,
  messages,
  bytes,
  copy_ms,
  freeze_ms = 0,
}: Estimate): string {
  const amount = `${describeAmount(messages, bytes)} in ${counted(folders, 'folder')}`
  if (copy_ms === undefined) return amount
  const [copy, freeze] = [copy_ms, freeze_ms].map((ms) => formatDuration(Math.max(1_000, ms)))
  return `${amount}, about ${copy} to copy and ${freeze} frozen`
}

/** One line about a user who is through. */
export function describeUser(report: UserReport): string {
  const { user, result, copied, bytes, notes, problems, bad, verified, moved } = report
  const { error, estimate } = report
  if (error !== undefined) return `${user}: failed: ${error.message}`
  if (result === 'planned' && estimate !== undefined) {
    return [`${user}: ${describeEstimate(estimate)}`, ...notes].join('; ')
  }
  const parts = [
    `${user}: ${result === 'done' ? 'done' : 'not equal'}`,
    `${describeAmount(copied, bytes)} copied`,
    verified === undefined ? 'not verified' : describeVerdict(verified),
    ...(bad.length === 0 ? [] : [`${bad.length} left behind`]),
    ...(moved === undefined ? [] : [`moved, frozen for ${(moved.freeze_ms / 1000).toFixed(1)} s`]),
    ...notes,
    ...problems,
  ]
  return parts.join('; ')
}

/** What is said at the end: a line of all users, where there were several. */
export function endOf(report: MigrationReport): {
  readonly lines: readonly string[]
  readonly exitCode: number
} {
  const isOne = report.users.length + report.untouched <= 1
  return { lines: isOne ? [] : [describeTotal(report)], exitCode: exitCodeOf(report) }
}

function describeTotal({ users, untouched, copied, bytes, ms }: MigrationReport): string {
  const count = (wanted: UserReport['result']): number =>
    users.filter(({ result }) => result === wanted).length
  const results = [
    [count('done'), 'done'],
    [count('planned'), 'looked at'],
    [count('failed'), 'failed'],
    [untouched, 'not begun'],
  ] as const
  const told = results.flatMap(([number, what]) => (number === 0 ? [] : [`${number} ${what}`]))
  const all = `${counted(users.length + untouched, 'user')}: ${told.join(', ')}`
  if (count('planned') > 0) return all
  return `${all}; ${describeAmount(copied, bytes)} copied in ${formatDuration(ms)}`
}

function describeVerdict({ isEqual, messages, folders }: MailboxVerdict): string {
  if (isEqual) return `${messages.target} verified`
  const count = (of: 'missing' | 'extra' | 'differing'): number =>
    folders.reduce((sum, folder) => sum + folder[of].length, 0)
  return `${count('missing')} missing, ${count('extra')} extra, ${count('differing')} differ`
}
