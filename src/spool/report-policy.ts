/** Who is told of what. RFC 3461 4.1 (NOTIFY), 5.2.1; never a null sender. Pure. */
import type { Progress, RecipientProgress } from './progress.ts'

export type ReportKind = 'failure' | 'success' | 'delay'

export interface Reportable {
  readonly kind: ReportKind
  /** Those to write about. */
  readonly told: readonly RecipientProgress[]
  /** Those whose sender has asked not to hear of it, or did not ask. */
  readonly untold: readonly RecipientProgress[]
}

export interface Situation {
  /** Nobody can be told: the message is a notification itself. */
  readonly isNullSender: boolean
  readonly isLate: boolean
}

/** What is to be reported now, by kind; kinds without anybody are absent. */
export function whatToReport(progress: Progress, situation: Situation): Reportable[] {
  const { recipients } = progress
  const finals = recipients.filter(({ isReported }) => !isReported)
  const late = situation.isLate
    ? recipients.filter(({ result, isWarned }) => result === 'owed' && !isWarned)
    : []
  const groups: readonly (readonly [ReportKind, readonly RecipientProgress[]])[] = [
    ['failure', finals.filter(({ result }) => result === 'failed')],
    ['success', finals.filter(({ result }) => result === 'delivered')],
    ['delay', late],
  ]
  return groups
    .filter(([, about]) => about.length > 0)
    .map(([kind, about]) => {
      const wants = (one: RecipientProgress): boolean =>
        !situation.isNullSender && isAskedFor(kind, one)
      return { kind, told: about.filter(wants), untold: about.filter((one) => !wants(one)) }
    })
}

/** Without NOTIFY a sender hears of failures, and of delays (RFC 3461 4.1). */
function isAskedFor(kind: ReportKind, one: RecipientProgress): boolean {
  const { notify } = one.recipient
  switch (kind) {
    case 'failure':
      return notify === undefined || notify.includes('FAILURE')
    case 'delay':
      return notify === undefined || notify.includes('DELAY')
    case 'success':
      return notify?.includes('SUCCESS') === true && one.isToldThere !== true
    default:
      return kind satisfies never
  }
}

/** Nobody is owed anything, neither the message nor word of it. */
export function isSettled({ recipients }: Progress): boolean {
  return recipients.every(
    ({ result, isReported }) => result === 'removed' || (result !== 'owed' && isReported),
  )
}
