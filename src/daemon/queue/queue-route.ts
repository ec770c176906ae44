/** Where a recipient of the spool goes now: the map is asked anew each time, since users move. */
import { assertNever } from '../../base/never.ts'
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import { parseWrittenAddress } from '../../mail/address.ts'
import { type Reply, reply } from '../../mail/reply.ts'
import type { Destination, Resolution } from '../../mail/route.ts'
import type { SpooledRecipient } from '../../spool/spooled-message.ts'
import { parametersFor } from '../relay/relay-expansion.ts'
import { isSendable, planFor } from '../relay/relay-route.ts'
import type { Generation } from '../runtime.ts'

export type QueueRoute =
  | {
      readonly kind: 'deliver'
      readonly plan: SmtpPlan
      readonly address: string
      /** The name of its mailbox there. */
      readonly login: string
    }
  /** It leads to several addresses now, which become recipients of their own. */
  | { readonly kind: 'expand'; readonly destinations: readonly Destination[] }
  /** For good: the sender is told. */
  | { readonly kind: 'failed'; readonly reply: Reply }
  | { readonly kind: 'deferred'; readonly reason: string }

const answers = {
  unknown: reply(550, '5.1.1', 'no such user here'),
  unsendable: reply(550, '5.6.7', 'the address needs SMTPUTF8'),
} as const

/** `smtpUtf8`: its message may be sent to addresses beyond ASCII. */
export function routeAgain(
  generation: Generation,
  recipient: SpooledRecipient,
  smtpUtf8: boolean,
): QueueRoute {
  const route = routeAnywhere(generation, recipient)
  const isUnsendable = route.kind === 'deliver' && !isSendable(route.address, smtpUtf8)
  return isUnsendable ? { kind: 'failed', reply: answers.unsendable } : route
}

function routeAnywhere(generation: Generation, recipient: SpooledRecipient): QueueRoute {
  const { config, map } = generation
  const address = parseWrittenAddress(recipient.address, config.naming)
  if (address === undefined) return deliverElsewhere(generation, recipient)
  const resolution = map.resolveFinal(address, config.naming)
  if (resolution.result === 'foreign') return deliverElsewhere(generation, recipient)
  return follow(generation, resolution)
}

function follow(
  generation: Generation,
  resolution: Exclude<Resolution, { readonly result: 'foreign' }>,
): QueueRoute {
  switch (resolution.result) {
    case 'route':
      return deliver(generation, resolution.destination)
    case 'expand': {
      const [first, ...others] = resolution.destinations
      if (first === undefined) return { kind: 'deferred', reason: 'an alias without members' }
      if (others.length > 0) return { kind: 'expand', destinations: resolution.destinations }
      return deliver(generation, first)
    }
    case 'reject': {
      const { code, status, text } = resolution
      return { kind: 'failed', reply: reply(code, status, text.replace(/[^ -~]+/g, ' ')) }
    }
    case 'defer':
      return { kind: 'deferred', reason: `the map says: ${resolution.text}` }
    case 'unknown':
      return { kind: 'failed', reply: answers.unknown }
    case 'error':
      return { kind: 'deferred', reason: `cannot be looked up: ${resolution.reason}` }
    default:
      return assertNever(resolution)
  }
}

/**
 * An address of no domain of ours was accepted all the same: as a name that only its back-end knows,
 * or as a target of an alias, or because it is a sender who must be told something.
 */
function deliverElsewhere(
  generation: Generation,
  { address, state }: SpooledRecipient,
): QueueRoute {
  const { config } = generation
  const known = state.kind === 'expanded' ? undefined : state.backend
  const backend = config.backends.has(known ?? '') ? known : config.smarthost
  if (backend === undefined) {
    return { kind: 'deferred', reason: 'it is elsewhere, and the config names no smarthost' }
  }
  return deliver(generation, { address, backend, login: address })
}

function deliver(generation: Generation, { address, backend, login }: Destination): QueueRoute {
  const plan = planFor(generation, backend)
  return typeof plan === 'string'
    ? { kind: 'deferred', reason: plan }
    : { kind: 'deliver', plan, address, login }
}

/** What one that leads to several addresses now becomes; RFC 3461 5.2.7.2, as where it comes in. */
export function membersOf(
  recipient: SpooledRecipient,
  members: readonly Destination[],
  canTell: boolean,
): SpooledRecipient[] {
  return members.map(({ address, recipient: asked, backend }, index) => ({
    ...parametersFor({ members, owner: undefined, parameters: recipient }, index, canTell),
    address: asked ?? address,
    state: { kind: 'owed', backend, reason: 'its address leads here now' },
  }))
}
