/**
 * Expansion of aliases and forwards. Every address is visited once, so that what is reached by two
 * ways is delivered once; an address that leads back to itself is a loop. A member equal to the
 * alias's own name keeps a copy there: it goes on to user_map and rules.
 */
import { type Address, formatAddress, parseAddress } from '../mail/address.ts'
import type { Destination, Resolution, Verdict } from '../mail/route.ts'
import { bareKey, detailKey } from './key.ts'
import { climb, findTargets, type Forward, type Placement, placeMail, type Scope } from './place.ts'

/** How deep aliases may lead, and to how many addresses, counting those on the way. */
export const expansionLimits = { depth: 10, addresses: 1000 } as const

/** What keeps an expansion from an answer. */
export interface ExpansionFault {
  readonly kind: 'loop' | 'too-deep' | 'too-many' | 'nowhere' | 'no-smarthost' | 'malformed'
  readonly reason: string
  /** The addresses that led to it; the last has the target that is at fault. */
  readonly path: readonly string[]
}

export class Expansion {
  readonly #scope: Scope
  readonly #destinations = new Map<string, Destination>()
  readonly #seen = new Set<string>()
  readonly #path: string[] = []
  #fault: ExpansionFault | undefined
  /** A source names an address on the way: that it is nobody is a mistake of ours. */
  #isNamed = false
  #isNobody = false
  #refusal: (Verdict & { readonly kind: 'reject' }) | undefined
  #deferral: (Verdict & { readonly kind: 'defer' }) | undefined

  constructor(scope: Scope) {
    this.#scope = scope
  }

  /** The fault of the last expansion, for the check of a build. */
  get fault(): ExpansionFault | undefined {
    return this.#fault
  }

  /** How many addresses it has met, without the one that was asked for. */
  get addressCount(): number {
    return this.#seen.size - 1
  }

  expandAlias(address: Address, targets: readonly string[]): Resolution {
    this.#seen.add(this.#fullKey(address))
    this.#visitTargets(address, targets)
    return this.#answer(address)
  }

  expandForward(address: Address, forward: Forward): Resolution {
    this.#seen.add(this.#fullKey(address))
    this.#visitForward(address, forward)
    return this.#answer(address)
  }

  #answer(address: Address): Resolution {
    const user = address.key
    if (this.#isNobody) return { result: 'unknown', user }
    if (this.#fault !== undefined) {
      return { result: 'error', user, reason: this.#fault.reason, isExpansion: true }
    }
    // One member that must wait makes all wait: the others would be sent to twice.
    const verdict = this.#deferral ?? (this.#destinations.size === 0 ? this.#refusal : undefined)
    if (verdict !== undefined) {
      const { kind, code, status, text } = verdict
      return { result: kind, user, code, status, text }
    }
    const destinations = [...this.#destinations.values()]
    const owner = this.#ownerOf(address)
    return { result: 'expand', user, destinations, ...(owner === undefined ? {} : { owner }) }
  }

  #visitTargets(address: Address, targets: readonly string[]): void {
    this.#isNamed = true
    this.#path.push(this.#fullKey(address))
    for (const target of targets) {
      if (this.#fault !== undefined) break
      const next = this.#read(address, target)
      if (next === undefined) this.#fail('malformed', `${target} is no address`)
      else if (this.#fullKey(next) === this.#path.at(-1)) this.#placeHere(address)
      else this.#visitNext(next)
    }
    this.#path.pop()
  }

  #visitForward(address: Address, { address: target, isMade = false }: Forward): void {
    this.#isNamed ||= !isMade
    this.#path.push(this.#fullKey(address))
    const next = this.#read(address, target)
    if (next === undefined) this.#fail('malformed', `${target} is no address`)
    else this.#visitNext(next)
    this.#path.pop()
  }

  /** A bare target that is the alias's own name means that name in the domain that was asked for. */
  #read(parent: Address, target: string): Address | undefined {
    return target === parent.user ? parent : parseAddress(target, this.#scope.naming)
  }

  #visitNext(next: Address): void {
    const key = this.#fullKey(next)
    if (this.#path.includes(key)) {
      const loop = [...this.#path.slice(this.#path.indexOf(key)), key].join(' → ')
      return this.#fail('loop', `aliases go in a circle: ${loop}`)
    }
    if (this.#seen.has(key)) return undefined
    this.#seen.add(key)
    if (this.#seen.size - 1 > expansionLimits.addresses) {
      const reason = `${this.#path[0]} leads to more than ${expansionLimits.addresses} addresses`
      return this.#fail('too-many', reason)
    }
    if (this.#path.length > expansionLimits.depth) {
      const reason = `aliases lead more than ${expansionLimits.depth} deep: ${this.#path.join(' → ')}`
      return this.#fail('too-deep', reason)
    }
    return this.#visit(next)
  }

  #visit(address: Address): void {
    const { naming, lookup } = this.#scope
    if (!naming.domains.has(address.domain)) return this.#leave(address)
    const depth = this.#path.length
    const ladder = climb(address, this.#scope)
    const targets = lookup.hasAliases ? findTargets(address, ladder, this.#scope, depth) : undefined
    if (targets !== undefined) return this.#visitTargets(address, targets)
    return this.#take(address, placeMail(address, ladder, this.#scope, depth))
  }

  #placeHere(address: Address): void {
    const ladder = climb(address, this.#scope)
    this.#take(address, placeMail(address, ladder, this.#scope, this.#path.length))
  }

  #take(address: Address, placement: Placement): void {
    switch (placement.kind) {
      case 'at': {
        const { backend, address: written } = placement.destination
        this.#destinations.set(`${backend} ${written}`, placement.destination)
        break
      }
      case 'forward':
        this.#visitForward(address, placement)
        break
      case 'reject':
        this.#refusal ??= { ...placement, kind: 'reject' }
        break
      case 'defer':
        this.#deferral ??= { ...placement, kind: 'defer' }
        break
      case 'unknown':
        if (this.#isNamed) this.#fail('nowhere', `${address.key} is nobody`)
        else this.#isNobody = true
        break
      case 'error':
        this.#fail('malformed', placement.reason)
        break
      default:
        placement satisfies never
    }
  }

  /** To an address outside: by the smarthost, no rule is consulted. */
  #leave({ local, domain }: Address): void {
    const { lookup, trace } = this.#scope
    const address = formatAddress(local, domain)
    const backend = lookup.smarthost
    trace?.({ source: 'smarthost', asked: address, found: backend, depth: this.#path.length })
    if (backend === undefined) {
      this.#fail('no-smarthost', `${address} is outside, and there is no smarthost to send it to`)
    } else {
      this.#destinations.set(`${backend} ${address}`, { address, backend, login: address })
    }
  }

  /** The address that takes the bounces of a list: `owner-list`, where that exists. */
  #ownerOf({ user, domain }: Address): string | undefined {
    const { lookup } = this.#scope
    if (!lookup.hasAliases || user.startsWith('owner-')) return undefined
    const owner = `owner-${user}`
    const entry = lookup.find(`${owner}@${domain}`)
    const bare = lookup.hasBareKeys ? lookup.find(bareKey(owner)) : undefined
    const isThere = entry?.targets !== undefined || bare?.targets !== undefined
    return isThere ? formatAddress(owner, domain) : undefined
  }

  #fail(kind: ExpansionFault['kind'], reason: string): void {
    this.#fault ??= { kind, reason, path: [...this.#path] }
  }

  #fullKey(address: Address): string {
    return address.detail === undefined ? address.key : detailKey(address, this.#scope.naming)
  }
}
