/**
 * Resolution: from an address to where its mail or its logins go. One pure function, used by the
 * check of a build, by `lookup`, `explain` and the daemons; what it knows, it asks of a `Lookup`.
 *
 * Delivery: a domain of ours? → aliases → user_map → rules → unknown.
 * Retrieval: popmap → user_map → rules → unknown. Aliases and forwards have no mailbox to log in to.
 * Each source is asked for `local+detail@domain`, then `local@domain`, then `local`.
 */
import type { Address } from '../mail/address.ts'
import type { Direction, Resolution } from '../mail/route.ts'
import { Expansion } from './expand.ts'
import { climb, findTargets, type Placement, placeLogin, placeMail, type Scope } from './place.ts'

export function resolveRoute(direction: Direction, address: Address, scope: Scope): Resolution {
  const ours = scope.naming.domains.has(address.domain)
  if (scope.trace !== undefined) {
    const found = ours ? 'is ours' : undefined
    scope.trace({ source: 'domains', asked: address.domain, found, depth: 0 })
  }
  if (!ours) return { result: 'foreign' }
  if (direction === 'retrieval') return answerOf(address.key, placeLogin(address, scope))
  const ladder = climb(address, scope)
  const targets = scope.lookup.hasAliases ? findTargets(address, ladder, scope, 0) : undefined
  if (targets !== undefined) return new Expansion(scope).expandAlias(address, targets)
  const placement = placeMail(address, ladder, scope, 0)
  if (placement.kind === 'forward') {
    return new Expansion(scope).expandForward(address, placement)
  }
  return answerOf(address.key, placement)
}

/**
 * Where mail goes for an address that aliases have led to already: it is not expanded again, since an
 * alias may name itself to keep a copy. Only a name that is nothing else any more is taken for an alias.
 */
export function resolveFinal(address: Address, scope: Scope): Resolution {
  if (!scope.naming.domains.has(address.domain)) return { result: 'foreign' }
  const placement = placeMail(address, climb(address, scope), scope, 0)
  if (placement.kind === 'unknown') return resolveRoute('delivery', address, scope)
  if (placement.kind === 'forward') {
    return new Expansion(scope).expandForward(address, placement)
  }
  return answerOf(address.key, placement)
}

function answerOf(user: string, placement: Placement): Resolution {
  switch (placement.kind) {
    case 'at':
      return { result: 'route', user, destination: placement.destination }
    case 'reject':
    case 'defer': {
      const { kind, code, status, text } = placement
      return { result: kind, user, code, status, text }
    }
    case 'error':
      return { result: 'error', user, reason: placement.reason }
    case 'forward': // Only of a login: a name that mail is forwarded from has no mailbox.
    case 'unknown':
      return { result: 'unknown', user }
    default:
      return placement satisfies never
  }
}
