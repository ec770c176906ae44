/** Who a message goes to: what the client asked for, and the addresses that it came to. */
import type { Slot } from '../protocol/smtp/outbox.ts'
import type { RcptParameters } from '../protocol/smtp/parameters.ts'
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
  readonly parameters: RcptParameters
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
