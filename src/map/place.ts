/** Where one address goes that is no alias: the sources asked in turn, most exact key first. */
import { formatPosition, type Position } from '../base/position.ts'
import { type Address, formatAddress, type Naming } from '../mail/address.ts'
import { queriesFor, type QueryKey } from '../mail/query-key.ts'
import type { Destination, Verdict } from '../mail/route.ts'
import { fillIn, isTemplate } from './fill-in.ts'
import { bareKey, catchAllKey, detailKey, everyDetailKey, queryKey } from './key.ts'
import type { Pattern, Rule } from './rule.ts'
import { describeValue, isLoginName, type Value } from './value.ts'

/** What the sources say of one key. */
export interface Entry {
  /** Targets of the alias: `local@domain`, or a bare name of the default domain. */
  readonly targets: readonly string[] | undefined
  readonly delivery: Value | undefined
  readonly retrieval: Value | undefined
}

/** What resolution asks of a map. */
export interface Lookup {
  readonly rules: readonly Rule[]
  /** Lines of popmap that stand for many logins. */
  readonly patterns: readonly Pattern[]
  /** What popmap is asked for; empty: what every source is. */
  readonly queryKeys: readonly QueryKey[]
  /** The back-end for addresses outside; undefined where the site has none. */
  readonly smarthost: string | undefined
  /** False where no key is without a domain: then none is looked for. */
  readonly hasBareKeys: boolean
  /** False where no key is `@domain` or `local+*@domain`: then none is looked for. */
  readonly hasWideKeys: boolean
  /** False where there is no alias at all. */
  readonly hasAliases: boolean
  find(key: string): Entry | undefined
}

export type SourceName = 'aliases' | 'user_map' | 'popmap' | 'rules'

/** One step of a resolution, for a person. */
export interface Step {
  readonly source: SourceName | 'domains' | 'smarthost'
  /** What was asked for: a key, or the address where there is no key. */
  readonly asked: string
  /** What was found; undefined: nothing. */
  readonly found: string | undefined
  /** Where that stands; the place of a key has to be asked of the map. */
  readonly at?: Position
  /** How many aliases and forwards led here. */
  readonly depth: number
}

export type Trace = (step: Step) => void

/** What one resolution works with. */
export interface Scope {
  readonly naming: Naming
  readonly lookup: Lookup
  readonly trace: Trace | undefined
}

/** The entries of an address, most exact first. */
export interface Ladder {
  readonly detail: Entry | undefined
  /** Of any detail. */
  readonly anyDetail: Entry | undefined
  readonly whole: Entry | undefined
  readonly bare: Entry | undefined
  /** Of the whole domain. */
  readonly catchAll: Entry | undefined
}

export interface Forward {
  readonly address: string
  /** Made of the name that was asked for, which a sender chooses: it may well be nobody's. */
  readonly isMade?: boolean
}

/** Where one address that is no alias, or not as one, goes. */
export type Placement =
  | { readonly kind: 'at'; readonly destination: Destination }
  | ({ readonly kind: 'forward' } & Forward)
  | ({ readonly kind: 'reject' | 'defer' } & Verdict)
  | { readonly kind: 'unknown' }
  | { readonly kind: 'error'; readonly reason: string }

export function climb(address: Address, { lookup, naming }: Scope): Ladder {
  return {
    detail: address.detail === undefined ? undefined : lookup.find(detailKey(address, naming)),
    anyDetail:
      lookup.hasWideKeys && address.detail !== undefined
        ? lookup.find(everyDetailKey(address, naming))
        : undefined,
    whole: lookup.find(address.key),
    bare: lookup.hasBareKeys ? lookup.find(bareKey(address.user)) : undefined,
    catchAll:
      lookup.hasWideKeys && !isSourceRouted(address)
        ? lookup.find(catchAllKey(address.domain))
        : undefined,
  }
}

/** A name with a way in it, of old: only a line of its own may say where it goes. */
function isSourceRouted({ user }: Address): boolean {
  return user.includes('%') || user.includes('@')
}

type Side = 'delivery' | 'retrieval'

function valueOn(
  { detail, anyDetail, whole, bare, catchAll }: Ladder,
  side: Side,
): Value | undefined {
  return detail?.[side] ?? anyDetail?.[side] ?? whole?.[side] ?? bare?.[side] ?? catchAll?.[side]
}

/** A value of many names may have parts of the name in it. */
function applyRung(
  { detail, anyDetail, whole, bare }: Ladder,
  side: Side,
  value: Value,
  { address, scope }: { readonly address: Address; readonly scope: Scope },
): Placement {
  const isWide =
    detail?.[side] === undefined &&
    (anyDetail?.[side] !== undefined || (whole?.[side] === undefined && bare?.[side] === undefined))
  const filled = isWide ? fillIn(value, address, scope.naming) : value
  if (filled === undefined) {
    return { kind: 'error', reason: `${describeValue(value)} makes no address of ${address.key}` }
  }
  const placement = applyValue(filled, address, scope.naming)
  const isMade = isWide && value.kind === 'forward' && isTemplate(value.address)
  return placement.kind === 'forward' ? { ...placement, isMade } : placement
}

/** The alias of an address; undefined where it is none. */
export function findTargets(
  address: Address,
  ladder: Ladder,
  scope: Scope,
  depth: number,
): readonly string[] | undefined {
  const { detail, whole, bare } = ladder
  const targets = detail?.targets ?? whole?.targets ?? bare?.targets
  if (scope.trace !== undefined) {
    const rung = rungOf(address, ladder, (entry) => entry.targets !== undefined, scope)
    scope.trace({ source: 'aliases', asked: rung, found: targets?.join(', '), depth })
  }
  return targets
}

/** Where the mail of an address goes that is no alias: user_map, then rules. */
export function placeMail(
  address: Address,
  ladder: Ladder,
  scope: Scope,
  depth: number,
): Placement {
  const value = valueOn(ladder, 'delivery')
  if (scope.trace !== undefined) {
    const asked = rungOf(address, ladder, (entry) => entry.delivery !== undefined, scope)
    scope.trace({ source: 'user_map', asked, found: value && describeValue(value), depth })
  }
  if (value !== undefined) return applyRung(ladder, 'delivery', value, { address, scope })
  return placeByRule(address, scope, depth)
}

/** Where the logins of an address go: popmap, then user_map, then rules. */
export function placeLogin(address: Address, scope: Scope): Placement {
  const ladder = climb(address, scope)
  if (scope.lookup.queryKeys.length > 0) return placeByQuery(address, ladder, scope)
  const value = valueOn(ladder, 'retrieval')
  if (scope.trace !== undefined) {
    const asked = rungOf(address, ladder, (entry) => entry.retrieval !== undefined, scope)
    scope.trace({ source: 'popmap', asked, found: value && describeValue(value), depth: 0 })
  }
  if (value !== undefined) return applyRung(ladder, 'retrieval', value, { address, scope })
  return placeByPattern(address, scope) ?? placeMail(address, ladder, scope, 0)
}

function placeByQuery(address: Address, ladder: Ladder, scope: Scope): Placement {
  const value = findByQuery(address, scope)
  if (value !== undefined) return applyValue(value, address, scope.naming)
  return placeByPattern(address, scope) ?? placeMail(address, ladder, scope, 0)
}

/** What popmap says of an address where it is asked for other keys than addresses. */
export function findByQuery(address: Address, { lookup, naming, trace }: Scope): Value | undefined {
  for (const query of queriesFor(lookup.queryKeys, address, naming)) {
    const asked = queryKey(query)
    const value = lookup.find(asked)?.retrieval
    trace?.({ source: 'popmap', asked, found: value && describeValue(value), depth: 0 })
    if (value !== undefined) return value
  }
  return undefined
}

function placeByPattern(address: Address, { lookup, trace }: Scope): Placement | undefined {
  for (const pattern of lookup.patterns) {
    const login = pattern.loginFor(address.key)
    if (login === undefined) continue
    trace?.({ source: 'popmap', asked: address.key, found: pattern.text, at: pattern.at, depth: 0 })
    if (!isLoginName(login)) {
      const reason = `${formatPosition(pattern.at)}: the pattern gives ${JSON.stringify(login)}, which is no login name`
      return { kind: 'error', reason }
    }
    const written = formatAddress(address.local, address.domain)
    return { kind: 'at', destination: { address: written, backend: pattern.backend, login } }
  }
  return undefined
}

function placeByRule(address: Address, { lookup, naming, trace }: Scope, depth: number): Placement {
  for (const rule of isSourceRouted(address) ? [] : lookup.rules) {
    if (!rule.matches(address)) continue
    const value = rule.valueFor(address.key)
    trace?.({
      source: 'rules',
      asked: address.key,
      found:
        rule.destination.kind === 'hash' ? `${rule.text} → ${describeValue(value)}` : rule.text,
      at: rule.at,
      depth,
    })
    return applyValue(value, address, naming)
  }
  trace?.({ source: 'rules', asked: address.key, found: undefined, depth })
  return { kind: 'unknown' }
}

function applyValue(value: Value, address: Address, naming: Naming): Placement {
  switch (value.kind) {
    case 'backend': {
      const written = writtenAddress(address)
      const { backend } = value
      return { kind: 'at', destination: { address: written, backend, login: address.key } }
    }
    case 'rename': {
      const { backend, login } = value
      const written = renamedAddress(login, address, naming)
      const recipient = writtenAddress(address)
      return { kind: 'at', destination: { address: written, backend, login, recipient } }
    }
    default:
      return value
  }
}

/** As it came, with the canonical domain; most addresses are their own key. */
function writtenAddress({ local, domain, user, key }: Address): string {
  return local === user && isPlain(local) ? key : formatAddress(local, domain)
}

/** True where the local part surely needs no quotes; RFC 5321 4.1.2. */
function isPlain(local: string): boolean {
  for (let index = 0; index < local.length; index++) {
    const code = local.charCodeAt(index)
    const isWord = (code >= 97 && code <= 122) || (code >= 48 && code <= 57) || code === 95
    const isInnerDot = (code === 46 || code === 45) && index > 0 && index < local.length - 1
    if (!isWord && !(isInnerDot && local.charCodeAt(index + 1) !== 46)) return false
  }
  return true
}

/** The recipient under the other name; the detail stays, since the back-end may sort by it. */
function renamedAddress(login: string, { local, detail, domain }: Address, naming: Naming): string {
  const at = login.lastIndexOf('@')
  const name = at === -1 ? login : login.slice(0, at)
  const cut = detail === undefined ? -1 : local.indexOf(naming.recipientDelimiter, 1)
  const written = cut === -1 ? name : name + local.slice(cut)
  return formatAddress(written, at === -1 ? domain : login.slice(at + 1))
}

/** The key of the first rung that answers; of the whole address where none does. */
function rungOf(
  address: Address,
  { detail, anyDetail, whole, bare, catchAll }: Ladder,
  answers: (entry: Entry) => boolean,
  { naming }: Scope,
): string {
  if (detail !== undefined && answers(detail)) return detailKey(address, naming)
  if (anyDetail !== undefined && answers(anyDetail)) return everyDetailKey(address, naming)
  if (whole !== undefined && answers(whole)) return address.key
  if (bare !== undefined && answers(bare)) return bareKey(address.user)
  return catchAll !== undefined && answers(catchAll) ? catchAllKey(address.domain) : address.key
}
