/** Where a recipient's mail goes: the one place that turns RCPT's path into back-ends, or an answer. */
import type { RefusalReason } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import type { Config } from '../../config/config.ts'
import { type Address, makeAddress, parseAddress } from '../../mail/address.ts'
import { type Reply, reply } from '../../mail/reply.ts'
import type { Destination, Verdict } from '../../mail/route.ts'
import { trustIn } from '../../net/dial.ts'
import { isAscii, type Path } from '../../protocol/smtp/path.ts'
import type { Member } from './relay-delivery.ts'
import type { Generation } from '../runtime.ts'
import { workersOf } from '../session-share.ts'

export type RelayRoute =
  | {
      readonly kind: 'deliver'
      /** Itself, or those of an alias. */
      readonly members: readonly Member[]
      /** The envelope sender of an alias with an owner. */
      readonly owner: string | undefined
    }
  | {
      readonly kind: 'answer'
      readonly reply: Reply
      readonly refusal?: RefusalReason
      /** What the administrator should hear. */
      readonly fault?: string
    }

const answers = {
  syntax: reply(501, '5.1.3', 'bad recipient address syntax'),
  foreign: reply(550, '5.7.1', 'relaying denied'),
  unknown: reply(550, '5.1.1', 'no such user here'),
  trouble: reply(451, '4.3.0', 'cannot be looked up now, try again later'),
  expansion: reply(451, '4.6.0', 'alias expansion error'),
  unsendable: reply(550, '5.6.7', 'the address needs SMTPUTF8'),
} as const

/**
 * The sender has no say in it: what is ours is taken from anyone, what is not from nobody. `smtpUtf8`:
 * its message may be sent to addresses beyond ASCII.
 */
export function routeRecipient(generation: Generation, path: Path, smtpUtf8: boolean): RelayRoute {
  const { config, map } = generation
  const isLiteral = path.domain.startsWith('[')
  if (isLiteral) return { kind: 'answer', reply: answers.foreign, refusal: 'relay_denied' }
  const address = addressOf(path, config)
  if (address === undefined) return { kind: 'answer', reply: answers.syntax }
  const resolution = map.resolve('delivery', address, config.naming)
  switch (resolution.result) {
    case 'route':
      return deliver(generation, [resolution.destination], { owner: undefined, smtpUtf8 })
    case 'expand':
      return deliver(generation, resolution.destinations, { owner: resolution.owner, smtpUtf8 })
    case 'reject':
    case 'defer':
      return { kind: 'answer', reply: verdictReply(resolution) }
    case 'unknown':
      return { kind: 'answer', reply: answers.unknown }
    case 'foreign':
      return { kind: 'answer', reply: answers.foreign, refusal: 'relay_denied' }
    case 'error':
      return {
        kind: 'answer',
        reply: resolution.isExpansion === true ? answers.expansion : answers.trouble,
        fault: resolution.reason,
      }
    default:
      return assertNever(resolution)
  }
}

/** RFC 5321 4.5.1: `<postmaster>` needs no domain. */
function addressOf({ local, domain }: Path, { naming, postmaster }: Config): Address | undefined {
  return domain === '' ? parseAddress(postmaster, naming) : makeAddress(local, domain, naming)
}

function verdictReply({ code, status, text }: Verdict): Reply {
  return reply(code, status, text.replace(/[^ -~]+/g, ' '))
}

function deliver(
  generation: Generation,
  destinations: readonly Destination[],
  { owner, smtpUtf8 }: { readonly owner: string | undefined; readonly smtpUtf8: boolean },
): RelayRoute {
  if (destinations.length === 0) return trouble('an alias without members')
  const areSendable = destinations.every(({ address }) => isSendable(address, smtpUtf8))
  if (!areSendable || (owner !== undefined && !isSendable(owner, smtpUtf8))) {
    return { kind: 'answer', reply: answers.unsendable }
  }
  const members: Member[] = []
  for (const { address, backend, login, recipient = address } of destinations) {
    const plan = planFor(generation, backend)
    if (typeof plan === 'string') return trouble(plan)
    const key = keyOf(address, backend, generation.config)
    members.push({ plan, address, login, recipient, key })
  }
  return { kind: 'deliver', members, owner }
}

/** Two spellings of one of our mailboxes are one; elsewhere only the other side knows. */
function keyOf(address: string, backend: string, { naming, smarthost }: Config): string {
  if (!naming.foldCase || backend === smarthost) return address
  return /[A-Z]/.test(address) ? address.replace(/[A-Z]+/g, (part) => part.toLowerCase()) : address
}

function trouble(fault: string): RelayRoute {
  return { kind: 'answer', reply: answers.trouble, fault }
}

/** Beyond ASCII only with SMTPUTF8 (RFC 6531); controls and brackets would end the command. */
export function isSendable(address: string, smtpUtf8: boolean): boolean {
  // Nearly all are.
  if (/^[!-;=?-~]*$/.test(address)) return true
  const isWritable = /^(?:[!-;=?-~\u{a0}-\u{10ffff}]*|"[ -~\u{a0}-\u{10ffff}]*"@[!-;=?-~]*)$/u
  return isWritable.test(address) && (smtpUtf8 || isAscii(address))
}

/** How to reach each back-end that messages can go to. */
export function messagePlans(generation: Generation): SmtpPlan[] {
  return [...generation.config.backends.values()].flatMap(({ name, endpoints }) => {
    if (endpoints.lmtp === undefined && endpoints.smtp === undefined) return []
    const plan = planFor(generation, name)
    return typeof plan === 'string' ? [] : [plan]
  })
}

const plans = new WeakMap<Generation, Map<string, SmtpPlan | string>>()

/** How to reach a back-end for messages, or why it cannot be. The same in all of a generation. */
export function planFor(generation: Generation, name: string): SmtpPlan | string {
  const known = plans.get(generation) ?? new Map<string, SmtpPlan | string>()
  plans.set(generation, known)
  const plan = known.get(name) ?? makePlan(generation, name)
  known.set(name, plan)
  return plan
}

function makePlan({ config, backendTls }: Generation, name: string): SmtpPlan | string {
  const backend = config.backends.get(name)
  const protocol = backend?.endpoints.lmtp === undefined ? 'smtp' : 'lmtp'
  const endpoint = backend?.endpoints[protocol]
  if (backend === undefined || endpoint === undefined) {
    return `${name} has neither lmtp nor smtp in the config`
  }
  const context = backendTls.get(name)
  if (context === undefined && endpoint.tls !== 'none') return `${name} has no TLS settings`
  const { limits } = config
  return {
    backend: name,
    protocol,
    endpoint,
    trust: trustIn(backend, context),
    hostname: config.hostname,
    clientAddress: backend.clientAddress,
    client: undefined,
    connectTimeoutMs: limits.connectTimeoutMs,
    readyTimeoutMs: limits.loginTimeoutMs,
    commandTimeoutMs: limits.commandTimeoutMs,
    dataTimeoutMs: limits.dataTimeoutMs,
    connectionLimit: Math.ceil(backend.connections / workersOf(config)),
  }
}
