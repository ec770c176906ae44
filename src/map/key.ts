/**
 * Keys of the map as text. An address is `local@domain`, with its detail `local+detail@domain`; a
 * name for every domain of ours is `local@`, which no address can be, and every other name of a
 * domain `@domain`. `local+*@domain` is any detail of a name. Where the config has a `query_key`, keys
 * of popmap are any text, told from all of these by a mark before it.
 */
import { canonicalDomain } from '../mail/domain.ts'
import { type Address, makeAddress, type Naming, parseAddress } from '../mail/address.ts'

/** A longer key than an address can be (RFC 5321 4.5.3.1) is a mistake in the source. */
export const keyLimitBytes = 1024

export function detailKey({ user, detail, domain }: Address, naming: Naming): string {
  return `${user}${naming.recipientDelimiter}${detail}@${domain}`
}

export function bareKey(user: string): string {
  return `${user}@`
}

export function everyDetailKey({ user, domain }: Address, naming: Naming): string {
  return `${user}${naming.recipientDelimiter}*@${domain}`
}

export function catchAllKey(domain: string): string {
  return `@${domain}`
}

export function isBare(key: string): boolean {
  return key.endsWith('@') && !isQueryKey(key)
}

export function isCatchAll(key: string): boolean {
  return key.startsWith('@')
}

const queryMark = '\u0001'

/** The key of popmap for a canonical query. */
export function queryKey(query: string): string {
  return queryMark + query
}

export function isQueryKey(key: string): boolean {
  return key.startsWith(queryMark)
}

/** A key as a person writes it. */
export function nameOf(key: string): string {
  if (isQueryKey(key)) return key.slice(queryMark.length)
  return key.endsWith('@') ? key.slice(0, -1) : key
}

/** True for a key that is asked for only where no exact one is there. */
export function isWide(key: string): boolean {
  if (isQueryKey(key)) return false
  return isCatchAll(key) || key.includes('*@')
}

export type ParsedKey =
  /** `address` is the key's own address; of a bare one, in the default domain; nobody's of `@domain`. */
  | { readonly key: string; readonly address: Address; readonly bare: boolean }
  | { readonly refused: string; readonly hint: string | undefined }

/** True for what popmap, and rules, take for everybody of a domain. */
export function isPatternKey(text: string): boolean {
  return text.startsWith('*@')
}

/** Reads a key as it stands in a source: `local@domain`, or `local` for every domain of ours. */
export function parseKey(text: string, naming: Naming): ParsedKey {
  if (isCatchAll(text)) return parseCatchAll(text)
  const bare = !text.includes('@')
  const address = bare
    ? makeAddress(text, naming.defaultDomain, naming)
    : parseAddress(text, naming)
  if (address === undefined || address.user.includes('@')) {
    return { refused: `${JSON.stringify(text)} is no address`, hint: 'write name@domain or name' }
  }
  if (address.user === '*') {
    const hint = `write ${bare ? 'a rule' : catchAllKey(address.domain)} for every other name`
    return { refused: `${JSON.stringify(text)} would be the address of a user called *`, hint }
  }
  if (bare && address.detail !== undefined) {
    return {
      refused: `a detail needs a domain: ${text}`,
      hint: `write ${text}@${naming.defaultDomain}`,
    }
  }
  const whole = address.detail === undefined ? address.key : detailKey(address, naming)
  const key = bare ? bareKey(address.user) : whole
  if (Buffer.byteLength(key) > keyLimitBytes) {
    return { refused: 'the key is too long for an address', hint: undefined }
  }
  return { key, address, bare }
}

function parseCatchAll(text: string): ParsedKey {
  const domain = canonicalDomain(text.slice(1))
  if (domain === undefined) {
    return { refused: `${JSON.stringify(text)} is no domain`, hint: 'write @example.com' }
  }
  const key = catchAllKey(domain)
  return { key, address: { local: '', user: '', detail: undefined, domain, key }, bare: false }
}

/** The addresses that a key may decide, one by one: of a bare one that in the default domain first. */
export function* addressesOf(key: string, naming: Naming): Generator<Address, void, undefined> {
  if (!key.endsWith('@')) {
    const parsed = parseKey(key, naming)
    if ('key' in parsed && naming.domains.has(parsed.address.domain)) yield parsed.address
    return
  }
  const name = key.slice(0, -1)
  const first = makeAddress(name, naming.defaultDomain, naming)
  if (first !== undefined) yield first
  for (const domain of naming.domains) {
    const next = domain === naming.defaultDomain ? undefined : makeAddress(name, domain, naming)
    if (next !== undefined) yield next
  }
}
