/** Who a message goes to: what the client asked for, and the addresses that it came to. */
import type { Slot } from '../../protocol/smtp/outbox.ts'
import type { NotifyKeyword, RcptParameters } from '../../protocol/smtp/parameters.ts'
import type { Expansion } from './relay-expansion.ts'
import type { RelayLeg } from './relay-leg.ts'
import type { Outcome } from './relay-outcome.ts'

/** One final address of a transaction, asked of one leg. */
export interface Target {
  readonly address: string
  /** The name of its mailbox there. */
  readonly login: string
  /** What the map is to be asked for where it is tried again later. */
  readonly recipient: string
  /** What the client asked to be told of it. */
  parameters: RcptParameters
  readonly leg: RelayLeg
  /** The newest that is known; undefined while it is asked. */
  outcome: Outcome | undefined
  /** A recipient that the client heard 2xx for stands on it: what becomes of it counts. */
  isOurs: boolean
  /** Recipients that wait for its outcome. */
  waiting: Recipient[]
}

/** Whether its back-end may yet get the message for it. */
export function isUnderWay({ leg, outcome }: Target): boolean {
  return leg.stage !== 'over' && (outcome === undefined || outcome.kind === 'accepted')
}

interface Again {
  /** The envelope sender. */
  readonly path: string
  readonly parameters: RcptParameters
  /** What is known of it already. */
  readonly outcome: Outcome | undefined
}

/**
 * One that is met a second time: who was refused is asked again, as the client asks again. Its sender
 * hears of it what both ask for, as far as it is told from here.
 */
export function askedAgain(known: Target, { path, parameters, outcome }: Again): Target {
  const isRefused = known.outcome?.kind === 'refused' || known.outcome?.kind === 'deferred'
  if (isRefused) known.outcome = outcome
  if (known.leg.sender.path === path) known.parameters = asBothAsk(known.parameters, parameters)
  return known
}

function asBothAsk(one: RcptParameters, other: RcptParameters): RcptParameters {
  const originalRecipient = one.originalRecipient ?? other.originalRecipient
  const asked = new Set([...wishesOf(one), ...wishesOf(other)])
  const isUsual = !asked.has('SUCCESS') && asked.has('DELAY') && asked.has('FAILURE')
  const notify = isUsual ? undefined : asked.size === 0 ? (['NEVER'] as const) : [...asked]
  return { notify, originalRecipient }
}

/** RFC 3461 4.1: who asks for nothing hears of failures, and may of delays. */
function wishesOf({ notify }: RcptParameters): NotifyKeyword[] {
  return (notify ?? (['FAILURE', 'DELAY'] as const)).filter((wish) => wish !== 'NEVER')
}

/** One recipient of the client. */
export interface Recipient {
  readonly slot: Slot
  /** Its place among those asked for. */
  readonly order: number
  readonly targets: Target[]
  /** What its sender is to hear once a target has the message, beside what back-ends report. */
  readonly expansion: Expansion | undefined
  /** How many of the targets have no outcome yet. */
  open: number
}
