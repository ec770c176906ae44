/** What is said for those who share one reply to a message: all of its recipients, or one by LMTP. */
import { classOf, type Reply } from '../../mail/reply.ts'
import { lost } from './relay-answers.ts'
import { firstOf, type Outcome, verdictOn } from './relay-outcome.ts'
import type { Target } from './relay-target.ts'

export interface Judged {
  readonly targets: readonly Target[]
  /** What the targets are owed belongs into the spool. */
  readonly isToKeep: boolean
  /** Without a spool, where it is needed. */
  readonly answer: Reply
}

/** By the one table of outcomes. */
export function judge(targets: readonly Target[]): Judged {
  const outcomes = outcomesOf(targets)
  const verdict = verdictOn(outcomes)
  const answer = verdict === 'accept' ? firstOf(outcomes, ['accepted'])?.reply : refusalOf(outcomes)
  const held = firstOf(outcomes, ['held'])?.reply
  return { targets, isToKeep: verdict === 'spool', answer: answer ?? held ?? lost.broken }
}

/**
 * Each by itself, but that nobody is owed a message from the spool and left to the client as well: who
 * is put off alone, and is a member of an alias that is kept, is kept with it.
 */
export function judgeAll(shares: readonly (readonly Target[])[]): Judged[] {
  const judged = shares.map((targets) => judge(targets))
  if (!judged.some(({ isToKeep }) => isToKeep)) return judged
  const kept = new Set(judged.flatMap(({ isToKeep, targets }) => (isToKeep ? targets : [])))
  return judged.map((one) => {
    const open = one.targets.filter(({ outcome }) => isOpen(outcome))
    const isKept = open.length > 0 && open.every((target) => kept.has(target))
    return { ...one, isToKeep: one.isToKeep || isKept }
  })
}

function isOpen(outcome: Outcome | undefined): boolean {
  return outcome?.kind === 'deferred' || outcome?.kind === 'unknown'
}

/** The client hears 2xx, if what is owed can be kept. */
export function isTaken({ isToKeep, answer }: Judged): boolean {
  return isToKeep || classOf(answer) === 'success'
}

export function outcomesOf(targets: readonly Target[]): Outcome[] {
  const outcomes: Outcome[] = []
  for (const { outcome } of targets) if (outcome !== undefined) outcomes.push(outcome)
  return outcomes
}

/** The client is to keep the message, if only for one address. */
export function refusalOf(outcomes: readonly Outcome[]): Reply | undefined {
  return firstOf(outcomes, ['deferred', 'unknown', 'refused'])?.reply
}

/** Back-ends that have it already, or may have it, and get it again. */
export function uncertainOf(judged: readonly Judged[]): Set<string> {
  const backends = new Set<string>()
  for (const { targets, answer } of judged) {
    const isAgain = answer.code >= 400 && answer.code < 500
    for (const { outcome, leg } of targets) {
      const isMet = outcome?.kind === 'unknown' || (isAgain && outcome?.kind === 'accepted')
      if (isMet) backends.add(leg.plan.backend)
    }
  }
  return backends
}
