/** What two maps say of one key. */
import type { Address } from '../mail/address.ts'
import { isQueryKey, nameOf, parseKey } from './key.ts'
import { climb, type Entry, type Placement, placeLogin, placeMail, type Scope } from './place.ts'
import { describeValue, type Value } from './value.ts'

/** Where one direction of a user leads, before and after; `-`: nowhere. */
export interface WayChange {
  /** As in the sources: `fritz`, `ann.b@fritz`, an address, a refusal. */
  readonly from: string
  readonly to: string
  /** The back-end, or in a word what else becomes of the mail. */
  readonly fromBackend: string
  readonly toBackend: string
}

export interface RouteChange {
  readonly kind: 'user'
  /** As in the sources: `local@domain`, or `local` for every domain of ours. */
  readonly key: string
  readonly change: 'rerouted' | 'added' | 'removed'
  /** Absent where that direction is as it was. */
  readonly delivery?: WayChange
  readonly retrieval?: WayChange
}

export interface AliasChange {
  readonly kind: 'alias'
  readonly key: string
  readonly change: 'added' | 'removed' | 'changed'
  readonly addedTargets: readonly string[]
  readonly removedTargets: readonly string[]
}

export type KeyChange = RouteChange | AliasChange

interface Way {
  readonly text: string
  readonly backend: string
}

interface Ways {
  readonly delivery: Way
  readonly retrieval: Way
}

const nowhere: Way = { text: '-', backend: '-' }

/** The scopes are those of the two maps. */
export function compareEntries(key: string, older: Scope, newer: Scope): KeyChange[] {
  const before = older.lookup.find(key)
  const after = newer.lookup.find(key)
  const changes = [
    isUser(before) || isUser(after)
      ? compareWays(key, waysOf(key, before, older), waysOf(key, after, newer))
      : undefined,
    compareTargets(key, before?.targets, after?.targets),
  ]
  return changes.filter((change) => change !== undefined)
}

function isUser(entry: Entry | undefined): boolean {
  return entry?.delivery !== undefined || entry?.retrieval !== undefined
}

function compareWays(key: string, before: Ways, after: Ways): RouteChange | undefined {
  const delivery = compareWay(before.delivery, after.delivery)
  const retrieval = compareWay(before.retrieval, after.retrieval)
  if (delivery === undefined && retrieval === undefined) return undefined
  const isNowhere = ({ delivery: one, retrieval: other }: Ways): boolean =>
    one === nowhere && other === nowhere
  return {
    kind: 'user',
    key: nameOf(key),
    change: isNowhere(before) ? 'added' : isNowhere(after) ? 'removed' : 'rerouted',
    ...(delivery === undefined ? {} : { delivery }),
    ...(retrieval === undefined ? {} : { retrieval }),
  }
}

function compareWay(before: Way, after: Way): WayChange | undefined {
  if (before.text === after.text) return undefined
  return {
    from: before.text,
    to: after.text,
    fromBackend: before.backend,
    toBackend: after.backend,
  }
}

/** Where a key leads in a map, also where only a rule says so. */
function waysOf(key: string, entry: Entry | undefined, scope: Scope): Ways {
  const { naming } = scope
  if (isQueryKey(key)) return { delivery: nowhere, retrieval: wayOfQuery(entry) }
  const bare = key.endsWith('@')
  const parsed = parseKey(bare ? key.slice(0, -1) : key, naming)
  if (!('key' in parsed)) return { delivery: nowhere, retrieval: nowhere }
  const { address } = parsed
  if (bare) return waysOfBare(entry, address, scope)
  if (!naming.domains.has(address.domain)) return { delivery: nowhere, retrieval: nowhere }
  const delivery =
    entry?.delivery === undefined
      ? wayOfPlacement(placeMail(address, climb(address, scope), scope, 0), address)
      : wayOfValue(entry.delivery, address)
  const retrieval =
    entry?.retrieval === undefined
      ? loginWay(entry?.delivery, address, scope)
      : wayOfValue(entry.retrieval, address)
  return { delivery, retrieval }
}

/** Whose logins it decides, not the key but resolution tells. */
function wayOfQuery(entry: Entry | undefined): Way {
  const value = entry?.retrieval
  if (value === undefined || !('backend' in value)) return nowhere
  return { text: describeValue(value), backend: value.backend }
}

/** Of a name for every domain only what its own lines say, or else a rule, in the default domain. */
function waysOfBare(entry: Entry | undefined, address: Address, scope: Scope): Ways {
  const ladder = {
    detail: undefined,
    anyDetail: undefined,
    whole: undefined,
    bare: entry,
    catchAll: undefined,
  }
  const placement = placeMail(address, ladder, scope, 0)
  const delivery =
    entry?.delivery === undefined
      ? wayOfPlacement(placement, address)
      : wayOfValue(entry.delivery, address)
  if (entry?.retrieval !== undefined)
    return { delivery, retrieval: wayOfValue(entry.retrieval, address) }
  return { delivery, retrieval: placement.kind === 'forward' ? nowhere : delivery }
}

function loginWay(delivery: Value | undefined, address: Address, scope: Scope): Way {
  const { patterns, queryKeys, hasBareKeys, hasWideKeys } = scope.lookup
  // Without patterns and other lines logins go where the mail goes.
  const isAlone = patterns.length + queryKeys.length === 0 && !hasBareKeys && !hasWideKeys
  if (delivery !== undefined && isAlone && delivery.kind !== 'forward')
    return wayOfValue(delivery, address)
  return wayOfPlacement(placeLogin(address, scope), address, true)
}

function wayOfValue(value: Value, { key }: Address): Way {
  if (value.kind === 'rename' && value.login === key) {
    return { text: value.backend, backend: value.backend }
  }
  return { text: describeValue(value), backend: 'backend' in value ? value.backend : value.kind }
}

function wayOfPlacement(placement: Placement, address: Address, isLogin = false): Way {
  switch (placement.kind) {
    case 'at': {
      const { backend, login } = placement.destination
      return { text: login === address.key ? backend : `${login}@${backend}`, backend }
    }
    case 'forward':
      // Nobody can log in to what is forwarded.
      return isLogin ? nowhere : { text: placement.address, backend: 'forward' }
    case 'reject':
    case 'defer':
      return wayOfValue(placement, address)
    case 'unknown':
      return nowhere
    case 'error':
      return { text: placement.reason, backend: 'error' }
    default:
      return placement satisfies never
  }
}

function compareTargets(
  key: string,
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
): AliasChange | undefined {
  const [older, newer] = [new Set(before), new Set(after)]
  const removedTargets = [...older.difference(newer)]
  const addedTargets = [...newer.difference(older)]
  if (removedTargets.length + addedTargets.length === 0) return undefined
  const change = before === undefined ? 'added' : after === undefined ? 'removed' : 'changed'
  return { kind: 'alias', key: nameOf(key), change, addedTargets, removedTargets }
}
