/**
 * Who a client is, as one host tells it to the next: the attributes of XCLIENT and XFORWARD, which
 * Postfix's XCLIENT_README and XFORWARD_README define. Values are xtext.
 */
import { canonicalHost } from '../../mail/network.ts'
import { decodeXtext, encodeXtext } from './xtext.ts'

/** Absent: not told. */
export interface ClientAttributes {
  readonly name?: string | undefined
  /** Canonical. */
  readonly address?: string | undefined
  readonly port?: number | undefined
  readonly protocol?: 'SMTP' | 'ESMTP' | undefined
  readonly hello?: string | undefined
  readonly destinationAddress?: string | undefined
  readonly destinationPort?: number | undefined
  /** Of the session, in the log of whoever told it. */
  readonly ident?: string | undefined
  readonly source?: 'LOCAL' | 'REMOTE' | undefined
  /** Whom we have let in, as latin1 octets; never taken from a client. */
  readonly login?: string | undefined
  /** Of a login: how many more proxies it may pass. */
  readonly ttl?: number | undefined
  /** Of a login by IMAP: what the client's program says of itself; undefined for a value of NIL. */
  readonly id?: readonly IdPair[] | undefined
}

/** A field of ID and its value, as latin1 octets. RFC 2971 section 3.3. */
export type IdPair = readonly [name: string, value: string | undefined]

type Verb = 'XCLIENT' | 'XFORWARD'

/** What we take, as EHLO offers it. */
export const attributeNames: Readonly<Record<Verb, readonly string[]>> = {
  XCLIENT: ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'LOGIN', 'DESTADDR', 'DESTPORT'],
  XFORWARD: ['NAME', 'ADDR', 'PORT', 'PROTO', 'HELO', 'IDENT', 'SOURCE'],
}

const lineBytes = 512
const valueChars = 255
const isUnknown = /^\[(?:UNAVAILABLE|TEMPUNAVAIL)\]$/i
const hostName = /^(?!-)[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?$/

/** Undefined where an attribute is not one of ours, or a value cannot be one. */
export function parseAttributes(verb: Verb, text: string): ClientAttributes | undefined {
  let attributes: ClientAttributes = {}
  if (text === '') return undefined
  for (const pair of text.split(/[ \t]+/)) {
    const at = pair.indexOf('=')
    const name = pair.slice(0, Math.max(0, at)).toUpperCase()
    const value = decodeXtext(pair.slice(at + 1))
    if (!attributeNames[verb].includes(name) || value === undefined) return undefined
    if (value.length > valueChars) return undefined
    const read = isUnknown.test(value) ? forgotten(name) : readAttribute(name, value)
    if (read === undefined) return undefined
    attributes = { ...attributes, ...read }
  }
  return attributes
}

const keys = {
  NAME: 'name',
  ADDR: 'address',
  PORT: 'port',
  PROTO: 'protocol',
  HELO: 'hello',
  DESTADDR: 'destinationAddress',
  DESTPORT: 'destinationPort',
  IDENT: 'ident',
  SOURCE: 'source',
} as const satisfies Record<string, keyof ClientAttributes>

/** What was told before is not known any more. */
function forgotten(name: string): ClientAttributes {
  const key = keys[name as keyof typeof keys]
  return key === undefined ? {} : { [key]: undefined }
}

function readAttribute(name: string, value: string): ClientAttributes | undefined {
  switch (name) {
    case 'NAME':
      return hostName.test(value) ? { name: value } : undefined
    case 'ADDR':
    case 'DESTADDR': {
      const host = canonicalHost(value.replace(/^IPV6:/i, ''))
      if (host === undefined) return undefined
      return name === 'ADDR' ? { address: host } : { destinationAddress: host }
    }
    case 'PORT':
    case 'DESTPORT': {
      const port = Number(value)
      if (!/^\d{1,5}$/.test(value) || port > 65_535) return undefined
      return name === 'PORT' ? { port } : { destinationPort: port }
    }
    case 'PROTO': {
      const protocol = value.toUpperCase()
      return protocol === 'SMTP' || protocol === 'ESMTP' ? { protocol } : undefined
    }
    case 'HELO':
      return /^[!-~]+$/.test(value) ? { hello: value } : undefined
    case 'IDENT':
      return { ident: value }
    case 'SOURCE': {
      const source = value.toUpperCase()
      return source === 'LOCAL' || source === 'REMOTE' ? { source } : undefined
    }
    default:
      // LOGIN: nobody logs in here.
      return {}
  }
}

function told(name: string, client: ClientAttributes): string | undefined {
  switch (name) {
    case 'NAME':
      return client.name ?? '[UNAVAILABLE]'
    case 'ADDR':
      return hostValue(client.address)
    case 'DESTADDR':
      return hostValue(client.destinationAddress)
    case 'PORT':
      return String(client.port ?? '[UNAVAILABLE]')
    case 'DESTPORT':
      return String(client.destinationPort ?? '[UNAVAILABLE]')
    case 'PROTO':
      return client.protocol ?? 'SMTP'
    case 'HELO':
      return client.hello ?? '[UNAVAILABLE]'
    case 'IDENT':
      return client.ident ?? '[UNAVAILABLE]'
    case 'SOURCE':
      return client.source ?? 'REMOTE'
    case 'LOGIN':
      return client.login
    default:
      return undefined
  }
}

function hostValue(address: string | undefined): string {
  if (address === undefined) return '[UNAVAILABLE]'
  return address.includes(':') ? `IPV6:${address}` : address
}

/** What does not fit into a line by itself cannot be told. */
function formatPair(verb: Verb, name: string, value: string): string {
  const pair = ` ${name}=${isUnknown.test(value) ? value : encodeXtext(value)}`
  return verb.length + pair.length + 2 > lineBytes ? ` ${name}=[UNAVAILABLE]` : pair
}

/** Whether such lines tell the whole name of who has logged in. */
export function tellsLogin(lines: readonly string[], { login }: ClientAttributes): boolean {
  if (login === undefined) return false
  const pair = ` LOGIN=${encodeXtext(login)}`
  return lines.some((line) => `${line.trimEnd()} `.includes(`${pair} `))
}

/** Command lines, each of at most 512 octets, with the attributes that the other side takes. */
export function formatAttributes(
  verb: Verb,
  client: ClientAttributes,
  offered: ReadonlySet<string>,
): string[] {
  const lines: string[] = []
  let line = ''
  for (const name of attributeNames[verb]) {
    const value = offered.has(name) ? told(name, client)?.slice(0, valueChars) : undefined
    if (value === undefined) continue
    const pair = formatPair(verb, name, value)
    if (verb.length + line.length + pair.length + 2 > lineBytes) {
      lines.push(`${verb}${line}\r\n`)
      line = ''
    }
    line += pair
  }
  if (line !== '') lines.push(`${verb}${line}\r\n`)
  return lines
}
