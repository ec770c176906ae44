/** What an entry of a directory says of its addresses. */
import type { LdapConfig } from '../../config/database-config.ts'
import { parseKey } from '../key.ts'
import { transport } from './parse-value.ts'
import { quote, type SourceContext } from './source-context.ts'
import type { TableRow } from './table-row.ts'

export interface LdapEntry {
  readonly dn: string
  /** By attribute, in small letters. */
  readonly values: ReadonlyMap<string, readonly string[]>
}

type Context = Pick<SourceContext, 'naming' | 'backends'>

/** `local`: a host that means this one, not a back-end. */
type HostState = 'none' | 'local' | 'other'
/** `own`: the address is the key itself. */
type AddressState = 'none' | 'own' | 'other'

/** `rules`: the entry says nothing; `unrouted`: likewise, where `no_host` is not `reject`. */
type Decision = 'rules' | 'unrouted' | 'forward' | 'relay' | 'relay-as'

/**
 * mailHost down, mailRoutingAddress across: as Sendmail's ldap_routing decides. A front end has no
 * mailboxes, so what is local there is for the rules here.
 */
export const decisions: Readonly<Record<HostState, Readonly<Record<AddressState, Decision>>>> = {
  none: { none: 'unrouted', own: 'rules', other: 'forward' },
  local: { none: 'rules', own: 'rules', other: 'forward' },
  other: { none: 'relay', own: 'relay', other: 'relay-as' },
}

/** The rows of an entry, for the source that the config names. */
export function ldapRows(entry: LdapEntry, config: LdapConfig, context: Context): TableRow[] {
  return new EntryReader(entry, config, context).rows()
}

interface Key {
  readonly text: string
  /** The address of the mailbox, where this is another name of it. */
  readonly primary: string | undefined
}

class Refused extends Error {
  readonly hint: string | undefined

  constructor(message: string, hint?: string) {
    super(message)
    this.hint = hint
  }
}

class EntryReader {
  readonly #entry: LdapEntry
  readonly #config: LdapConfig
  readonly #context: Context

  constructor(entry: LdapEntry, config: LdapConfig, context: Context) {
    this.#entry = entry
    this.#config = config
    this.#context = context
  }

  rows(): TableRow[] {
    const { dn } = this.#entry
    try {
      return this.#keys().flatMap((key) =>
        this.#valuesOf(key).map((value) => ({ key: key.text, value, entry: dn })),
      )
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      return [{ refused: error.message, hint: error.hint, entry: dn }]
    }
  }

  #all(attribute: string | undefined): readonly string[] {
    return attribute === undefined ? [] : (this.#entry.values.get(attribute.toLowerCase()) ?? [])
  }

  #one(attribute: string | undefined): string | undefined {
    const [first, second] = this.#all(attribute)
    if (second === undefined) return first?.trim() === '' ? undefined : first?.trim()
    throw new Refused(`there are several values of ${attribute}`, 'leave one of them')
  }

  /** An address in two attributes is one key. */
  #keys(): Key[] {
    const keys = this.#config.attributes.key.flatMap((attribute) =>
      attribute.toLowerCase() === 'proxyaddresses'
        ? proxyKeys(this.#all(attribute))
        : this.#all(attribute).map((text) => ({ text, primary: undefined })),
    )
    return [...new Map(keys.toReversed().map((key) => [key.text.toLowerCase(), key])).values()]
  }

  #valuesOf(key: Key): string[] {
    const { source, attributes } = this.#config
    if (source === 'aliases') {
      if (attributes.targets !== undefined) return [...this.#all(attributes.targets)].sort()
      return key.primary === undefined ? [] : [key.primary]
    }
    if (key.primary !== undefined && source === 'user_map') return [key.primary]
    const value = this.#route(key)
    return value === undefined ? [] : [value]
  }

  #route(key: Key): string | undefined {
    const { attributes, source, noHost } = this.#config
    const host = this.#host()
    const address = this.#one(attributes.address)
    const name = this.#one(attributes.user) ?? address ?? key.primary
    const hostState = this.#stateOfHost(host)
    const asked = hostState === 'other' ? name : address
    const decision = decisions[hostState][this.#stateOfAddress(key, asked)]
    switch (decision) {
      case 'relay':
        return host
      case 'relay-as':
        return `${asked}@${host}`
      case 'forward':
        return source === 'user_map' ? forwardTo(asked) : undefined
      case 'unrouted':
        return noHost === 'reject' ? 'error:5.1.1:550 No such user' : undefined
      case 'rules':
        return undefined
      default:
        return decision satisfies never
    }
  }

  /** As a value of user_map or popmap has it. */
  #host(): string | undefined {
    const { host, port } = this.#config.attributes
    const written = this.#one(host)?.replace(transport, '')
    if (written === undefined) return undefined
    const bare = /^[\da-f]*:[\da-f:.]*:[\da-f.]*$/i.test(written) ? `[${written}]` : written
    if (!/^(?:\[[^\]\s@]+\]|[^:[\]\s@,/]+)(?::\d{1,5})?$/.test(bare)) {
      throw new Refused(`${quote(written)} is no host`, `see ${host}`)
    }
    const number = this.#one(port)
    if (number === undefined) return bare
    if (!/^\d{1,5}$/.test(number)) throw new Refused(`${quote(number)} is no port`, `see ${port}`)
    return `${bare.replace(/:\d+$/, '')}:${number}`
  }

  #stateOfHost(host: string | undefined): HostState {
    if (host === undefined) return 'none'
    const bare = host.replace(/:\d+$/, '').toLowerCase().replace(/\.$/, '')
    const isLocal = this.#config.localHosts.includes(bare) && !this.#context.backends.has(bare)
    return isLocal ? 'local' : 'other'
  }

  #stateOfAddress({ text }: Key, address: string | undefined): AddressState {
    if (address === undefined) return 'none'
    const [own, other] = [text, address].map((one) => parseKey(one, this.#context.naming))
    const isOwn = own !== undefined && other !== undefined && keyOf(own) === keyOf(other)
    return isOwn && keyOf(own) !== undefined ? 'own' : 'other'
  }
}

function keyOf(parsed: ReturnType<typeof parseKey>): string | undefined {
  return 'key' in parsed ? parsed.key : undefined
}

function forwardTo(address: string | undefined): string {
  if (address?.includes('@') !== true) {
    throw new Refused(`${quote(address ?? '')} is no address to go on to`)
  }
  return address
}

/** `SMTP:` marks the address of the mailbox, `smtp:` others; what is no mail address is left out. */
function proxyKeys(values: readonly string[]): Key[] {
  const primary = values.find((value) => value.startsWith('SMTP:'))?.slice(5)
  return values
    .filter((value) => /^smtp:/i.test(value))
    .map((value) => value.slice(5))
    .map((text) => {
      if (text !== primary && primary === undefined) {
        throw new Refused('proxyAddresses has no SMTP: address', 'one of them must be the mailbox')
      }
      return { text, primary: text === primary ? undefined : primary }
    })
}
