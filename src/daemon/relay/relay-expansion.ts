/**
 * What the sender of a message hears of an alias, where success was asked for: one report of the alias,
 * none of its members, whom it need not know. RFC 3461 5.2.7.2 (b) and 5.2.7.3.
 */
import { noRcptParameters, type RcptParameters } from '../../protocol/smtp/parameters.ts'
import type { Delivery } from './relay-delivery.ts'
import type { Recipient } from './relay-target.ts'
import { isTaken, type Judged } from './relay-verdict.ts'

/** A report that is owed once a member has the message. */
export interface Expansion {
  readonly path: string
  readonly parameters: RcptParameters
  /** Of a list that has an owner the message has come to its end, and its members get another. */
  readonly action: 'expanded' | 'delivered'
}

export function expansionOf(delivery: Delivery): Expansion | undefined {
  const { path, members, owner, parameters } = delivery
  if (!asksForSuccess(parameters)) return undefined
  if (owner !== undefined) return { path, parameters, action: 'delivered' }
  return members.length > 1 ? { path, parameters, action: 'expanded' } : undefined
}

interface Counted {
  readonly members: { readonly length: number }
}

/**
 * What is asked for the member at `index`. Where the sender cannot be told from here, the back-end of
 * the first reports for all (5.2.7.2 (c)).
 */
export function parametersFor(
  { members, owner, parameters }: Pick<Delivery, 'owner' | 'parameters'> & Counted,
  index: number,
  canReport: boolean,
): RcptParameters {
  if (owner !== undefined) return noRcptParameters
  const isReporter = members.length === 1 || (index === 0 && !canReport)
  return isReporter ? parameters : withoutSuccess(parameters)
}

function asksForSuccess({ notify }: RcptParameters): boolean {
  return notify?.includes('SUCCESS') === true
}

function withoutSuccess(parameters: RcptParameters): RcptParameters {
  if (!asksForSuccess(parameters)) return parameters
  const others = (parameters.notify ?? []).filter((keyword) => keyword !== 'SUCCESS')
  return { ...parameters, notify: others.length === 0 ? ['NEVER'] : others }
}

/** Those of `recipients` of whose targets one has the message, or is owed it. */
export function reachedBy(
  judged: readonly Judged[],
  recipients: readonly Recipient[],
): Expansion[] {
  const taken = judged.filter(isTaken).flatMap(({ targets }) => targets)
  const reached = new Set(taken.filter(({ outcome }) => outcome?.kind !== 'refused'))
  return recipients.flatMap(({ targets, expansion }) =>
    expansion !== undefined && targets.some((target) => reached.has(target)) ? [expansion] : [],
  )
}
