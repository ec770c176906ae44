/** A lookup's answer as scripts and people see it; the shape of `lookup --json` is a contract. */
import type { BackendConfig, Config } from '../config/config.ts'
import { type Address, parseWrittenAddress } from '../mail/address.ts'
import { parseLogin } from '../mail/login-name.ts'
import type { Destination, Direction, Resolution } from '../mail/route.ts'
import type { MapReader } from './open.ts'

/** One object for each address; keys that do not apply are absent. */
export interface LookupJson {
  readonly address: string
  readonly direction: Direction
  readonly result: 'route' | 'expand' | 'reject' | 'defer' | 'unknown' | 'error'
  readonly user?: string
  readonly backend?: string
  /** The name used there. */
  readonly login?: string
  readonly host?: string
  readonly port?: number
  readonly targets?: readonly string[]
  readonly code?: number
  readonly status?: string
  readonly text?: string
  readonly generation: number
}

/** What a question of a person was read as, and its answer. */
export interface Answer {
  readonly json: LookupJson
  readonly address: Address | undefined
  readonly destinations: readonly Destination[]
}

export interface Question {
  readonly text: string
  readonly direction: Direction
}

const noSuchUser = { code: 550, status: '5.1.1', text: 'No such user' } as const
const relayDenied = { code: 550, status: '5.7.1', text: 'Relaying denied' } as const

/** Looks up an address as a person typed it. */
export function answerQuestion(
  { text, direction }: Question,
  map: Pick<MapReader, 'generation' | 'resolve'>,
  config: Config,
): Answer {
  const read = direction === 'retrieval' ? parseLogin : parseWrittenAddress
  const address = read(text, config.naming)
  const base = { address: text, direction, generation: map.generation }
  if (address === undefined) {
    const verdict = { code: 501, status: '5.1.3', text: 'Bad address syntax' }
    return { json: { ...base, result: 'reject', ...verdict }, address, destinations: [] }
  }
  const resolution = map.resolve(direction, address, config.naming)
  const destinations = destinationsOf(resolution)
  return { json: { ...base, ...answerOf(resolution, direction, config) }, address, destinations }
}

function destinationsOf(resolution: Resolution): readonly Destination[] {
  if (resolution.result === 'expand') return resolution.destinations
  return resolution.result === 'route' ? [resolution.destination] : []
}

function answerOf(
  resolution: Resolution,
  direction: Direction,
  config: Config,
): Omit<LookupJson, 'address' | 'direction' | 'generation'> {
  switch (resolution.result) {
    case 'route': {
      const { user, destination } = resolution
      const { backend, login } = destination
      const place = endpointOf(config.backends.get(backend), direction)
      return { result: 'route', user, backend, login, ...place }
    }
    case 'expand': {
      const { user, destinations } = resolution
      return { result: 'expand', user, targets: destinations.map(({ address }) => address) }
    }
    case 'reject':
    case 'defer': {
      const { result, user, code, status, text } = resolution
      return { result, user, code, status, text }
    }
    case 'unknown': {
      const { result, user } = resolution
      return direction === 'delivery' ? { result, user, ...noSuchUser } : { result, user }
    }
    case 'foreign':
      // To a login it is one answer whether the name or the domain is unknown.
      return direction === 'delivery' ? { result: 'reject', ...relayDenied } : { result: 'unknown' }
    case 'error':
      return { result: 'error', user: resolution.user, text: resolution.reason }
    default:
      return resolution satisfies never
  }
}

/** Where the direction leads at a back-end; absent where it has no such port. */
function endpointOf(
  backend: BackendConfig | undefined,
  direction: Direction,
): { host: string; port: number } | undefined {
  const { smtp, lmtp, imap, pop3 } = backend?.endpoints ?? {}
  const endpoint = direction === 'delivery' ? (lmtp ?? smtp) : (imap ?? pop3)
  return endpoint === undefined ? undefined : { host: endpoint.host, port: endpoint.port }
}

/** One line for a person, without the address that was asked for. */
export function describeAnswer({ json, destinations }: Answer): string {
  switch (json.result) {
    case 'route':
    case 'expand':
      return destinations.map((one) => describeDestination(one, json)).join(', ')
    case 'reject':
      return `refused: ${json.code} ${json.status} ${json.text}`
    case 'defer':
      return `deferred: ${json.code} ${json.status} ${json.text}`
    case 'unknown':
      return 'nobody of that name'
    case 'error':
      return `error: ${json.text}`
    default:
      return json.result satisfies never
  }
}

function describeDestination({ address, backend, login }: Destination, json: LookupJson): string {
  if (json.result === 'expand') return `${address} at ${backend}`
  return login === json.user ? backend : `${backend} as ${login}`
}

/** EX_NOUSER and EX_TEMPFAIL of sysexits.h; 0 where the address has a route or an expansion. */
export function exitCodeOf({ result }: LookupJson): 0 | 67 | 75 {
  if (result === 'route' || result === 'expand') return 0
  return result === 'error' || result === 'defer' ? 75 : 67
}
