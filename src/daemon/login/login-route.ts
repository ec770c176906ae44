/** Where a login goes: the one place that turns a name as typed into a back-end, or into an answer. */
import { assertNever } from '../../base/never.ts'
import type { BackendConfig, LoginService } from '../../config/config.ts'
import type { Naming } from '../../mail/address.ts'
import { parseLogin } from '../../mail/login-name.ts'
import type { Destination } from '../../mail/route.ts'
import { trustIn } from '../../net/dial.ts'
import type { LoginPort } from '../dial-login.ts'
import { type AskedPort, askedServices } from '../own-backend.ts'
import type { Freeze } from '../freezes.ts'
import type { Generation, Runtime } from '../runtime.ts'

export type LoginRoute =
  | (LoginPort & {
      readonly kind: 'route'
      /** Canonical address of the user. */
      readonly user: string
      /** By the smarthost, where no mailbox is and nobody knows the user. */
      readonly isElsewhere: boolean
      /** Who judges the password for it, where we don't. */
      readonly asked?: AskedPort | undefined
    })
  /** Nobody that could log in: answered as a wrong password is. */
  | { readonly kind: 'refused' }
  /** Cannot be told now. `fault`: what the administrator should hear. */
  | { readonly kind: 'unavailable'; readonly fault?: string }

export type FoundRoute = Extract<LoginRoute, { kind: 'route' }>

export function routeLogin(
  generation: Generation,
  protocol: LoginService,
  login: string,
): LoginRoute {
  const { config, map } = generation
  const address = parseLogin(login, config.naming)
  if (address === undefined) return { kind: 'refused' }
  const resolution = map.resolve('retrieval', address, config.naming)
  switch (resolution.result) {
    case 'route':
      break
    // An alias is nobody's mailbox.
    case 'expand':
    case 'foreign':
    case 'reject':
    case 'unknown':
      return { kind: 'refused' }
    case 'defer':
      return { kind: 'unavailable' }
    case 'error':
      return { kind: 'unavailable', fault: resolution.reason }
    default:
      return assertNever(resolution)
  }
  const { user, destination } = resolution
  const backend = config.backends.get(destination.backend)
  if (protocol === 'submission' && sendsElsewhere(generation, backend)) {
    return routeElsewhere(generation, user, destination)
  }
  const port = portAt(generation, protocol, destination)
  if (port === undefined) return lacking(destination.backend, protocol)
  return { kind: 'route', user, ...port, isElsewhere: false }
}

function lacking(backend: string, what: string): LoginRoute {
  return { kind: 'unavailable', fault: `${backend} has no ${what} in the config` }
}

/** Whether its users send by the smarthost. */
function sendsElsewhere(
  { config, verifier }: Generation,
  backend: BackendConfig | undefined,
): boolean {
  if (config.smarthostLogin === undefined || backend === undefined) return false
  if (backend.endpoints.submission === undefined) return true
  // Where we judge, none logs in there for its own users but who does so for all.
  return backend.name === config.smarthost && verifier !== undefined && backend.admin === undefined
}

function routeElsewhere(generation: Generation, user: string, own: Destination): LoginRoute {
  const { config, verifier } = generation
  const { smarthost = '' } = config
  const destination = { ...own, backend: smarthost, login: user }
  const port = portAt(generation, 'submission', destination)
  if (port === undefined) return lacking(smarthost, 'submission')
  const route = { kind: 'route', user, ...port, isElsewhere: true } as const
  if (verifier !== undefined) return route
  for (const service of askedServices) {
    const asked = portAt(generation, service, own)
    if (asked !== undefined) return { ...route, asked: { ...asked, service } }
  }
  return lacking(own.backend, `${askedServices.join(' or ')} to judge passwords`)
}

/** Undefined where the config has no such port, or no TLS settings for it. */
function portAt(
  { config, backendTls }: Generation,
  protocol: LoginService,
  { backend: name, login }: Destination,
): LoginPort | undefined {
  const backend = config.backends.get(name)
  const endpoint = backend?.endpoints[protocol]
  if (backend === undefined || endpoint === undefined) return undefined
  const trust = trustIn(backend, backendTls.get(name))
  if (trust === undefined && endpoint.tls !== 'none') return undefined
  const { clientAddress } = backend
  return { backend: name, endpoint, trust, clientAddress, login }
}

/** What a login waits for: who sends by the smarthost has a mailbox only to be asked of. */
export function freezeOn(
  route: Extract<LoginRoute, { kind: 'route' }>,
  { freezes }: Pick<Runtime, 'freezes'>,
): Freeze | undefined {
  const mailbox = route.isElsewhere ? route.asked : route
  return mailbox && freezes.forLogin(route.user, mailbox)
}

/** Whether two names, as they are typed, are one user's in one spelling: a back-end can read either. */
export function isSameLogin(one: string, other: string, naming: Naming): boolean {
  const [left, right] = [parseLogin(one, naming), parseLogin(other, naming)]
  if (left === undefined || right === undefined) return false
  return left.key === right.key && left.detail === right.detail
}
