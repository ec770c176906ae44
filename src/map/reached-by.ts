/**
 * Who leads to a user: aliases and forwards, each followed as mail would follow it, so that names of
 * several domains are told apart, and what a more exact line hides does not count.
 */
import { type Address, makeAddress, type Naming, parseAddress } from '../mail/address.ts'
import { concernedBy } from './edit/candidate.ts'
import { expansionLimits } from './expand.ts'
import { addressesOf, catchAllKey, detailKey, isCatchAll, isWide, nameOf } from './key.ts'
import type { TracingReader } from './open.ts'
import { climb, findTargets, placeMail, type Scope } from './place.ts'

interface Search {
  readonly user: Address
  readonly scope: Scope
  /** What is known of addresses on the way. */
  readonly known: Map<string, boolean>
}

/** What stands for other addresses, by which key; `keepsCopy`: it is a user as well. */
interface Lead {
  readonly key: string
  readonly next: readonly Address[]
  readonly keepsCopy: boolean
}

/** Names of the aliases and forwards that lead to a user, in however many steps. */
export function reachedBy(map: TracingReader, user: Address, naming: Naming): string[] {
  if (!map.hasExpansions) return []
  const scope: Scope = { naming, lookup: map.lookup, trace: undefined }
  const search: Search = { user, scope, known: new Map() }
  const wide = map.lookup.hasWideKeys ? [...naming.domains].map(catchAllKey) : []
  const keys = new Set([...concernedBy(map, [user.key], naming), ...wide])
  return [...keys].filter((key) => leadsFrom(key, search)).map(nameOf)
}

function leadsFrom(key: string, search: Search): boolean {
  for (const address of samplesOf(key, search)) {
    const lead = leadOf(address, search.scope)
    if (lead?.key !== key) continue
    if (lead.keepsCopy && address.key === search.user.key) return true
    if (lead.next.some((next) => reaches(next, search, 1))) return true
    // In every domain it says the same, but for a copy that stays.
    if (!lead.keepsCopy) return false
  }
  return false
}

/** Addresses that the key may decide: of one for many names, that of the user's name. */
function* samplesOf(key: string, { user, scope }: Search): Generator<Address, void, undefined> {
  const { naming } = scope
  if (!isWide(key)) return yield* addressesOf(key, naming)
  const domain = key.slice(key.lastIndexOf('@') + 1)
  const local = isCatchAll(key) ? user.user : key.slice(0, key.lastIndexOf('@'))
  const address = naming.domains.has(domain) ? makeAddress(local, domain, naming) : undefined
  if (address !== undefined) yield address
  return undefined
}

function reaches(address: Address, search: Search, depth: number): boolean {
  const { user, scope, known } = search
  if (address.key === user.key) return true
  if (depth > expansionLimits.depth || !scope.naming.domains.has(address.domain)) return false
  const name = address.detail === undefined ? address.key : detailKey(address, scope.naming)
  const before = known.get(name)
  if (before !== undefined) return before
  const lead = leadOf(address, scope)
  const found = lead?.next.some((next) => reaches(next, search, depth + 1)) === true
  known.set(name, found)
  return found
}

/** Undefined where the address stands for no other. */
function leadOf(address: Address, outer: Scope): Lead | undefined {
  let key = ''
  const scope: Scope = { ...outer, trace: ({ asked }) => void (key = asked) }
  const ladder = climb(address, scope)
  const targets = findTargets(address, ladder, scope, 0)
  const forward = (): Address[] => {
    const placement = placeMail(address, ladder, scope, 0)
    const next =
      placement.kind === 'forward' ? parseAddress(placement.address, scope.naming) : undefined
    return next === undefined ? [] : [next]
  }
  if (targets === undefined) {
    const next = forward()
    return next.length === 0 ? undefined : { key, next, keepsCopy: false }
  }
  const aliasKey = key
  const others = targets.flatMap((text) =>
    text === address.user ? address : (parseAddress(text, scope.naming) ?? []),
  )
  const next = others.filter((one) => !isSame(one, address))
  const keepsCopy = next.length < others.length
  return { key: aliasKey, next: keepsCopy ? [...next, ...forward()] : next, keepsCopy }
}

function isSame(one: Address, other: Address): boolean {
  return one.key === other.key && one.detail === other.detail
}
