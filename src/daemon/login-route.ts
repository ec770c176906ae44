/** Where a login goes: the one place that turns a name as typed into a back-end, or into an answer. */
import { assertNever } from '../base/never.ts'
import type { ClientPassing, Endpoint, LoginService } from '../config/config.ts'
import type { Naming } from '../mail/address.ts'
import { parseLogin } from '../mail/login-name.ts'
import { type Trust, trustIn } from '../net/dial.ts'
import type { Generation } from './runtime.ts'

export type LoginRoute =
  | {
      readonly kind: 'route'
      /** Canonical address of the user. */
      readonly user: string
      readonly backend: string
      readonly endpoint: Endpoint
      readonly trust: Trust | undefined
      readonly clientAddress: ClientPassing
      /** The name to log in with there. */
      readonly login: string
    }
  /** Nobody that could log in: answered as a wrong password is. */
  | { readonly kind: 'refused' }
  /** Cannot be told now. `fault`: what the administrator should hear. */
  | { readonly kind: 'unavailable'; readonly fault?: string }

export type FoundRoute = Extract<LoginRoute, { kind: 'route' }>

export function routeLogin(
  { config, map, backendTls }: Generation,
  protocol: LoginService,
  login: string,
): LoginRoute {
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
  const endpoint = backend?.endpoints[protocol]
  if (backend === undefined || endpoint === undefined) {
    return { kind: 'unavailable', fault: `${destination.backend} has no ${protocol} in the config` }
  }
  const context = backendTls.get(backend.name)
  if (context === undefined && endpoint.tls !== 'none') {
    return { kind: 'unavailable', fault: `${backend.name} has no TLS settings` }
  }
  return {
    kind: 'route',
    user,
    backend: backend.name,
    endpoint,
    trust: trustIn(backend, context),
    clientAddress: backend.clientAddress,
    login: destination.login,
  }
}

/** Whether two names, as they are typed, are one user's in one spelling: a back-end can read either. */
export function isSameLogin(one: string, other: string, naming: Naming): boolean {
  const [left, right] = [parseLogin(one, naming), parseLogin(other, naming)]
  if (left === undefined || right === undefined) return false
  return left.key === right.key && left.detail === right.detail
}
