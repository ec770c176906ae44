/**
 * A client as it is told to a back-end before a login, in the words of Dovecot, which others have
 * taken over: fields of ID (RFC 2971) for IMAP, XCLIENT for POP3 and ManageSieve. Back-ends believe
 * them of hosts that they trust (`login_trusted_networks`).
 */
import type { ClientAttributes, IdPair } from './smtp/client-attributes.ts'
import { writeQuoted } from './imap/grammar.ts'

/** Proxies that a login may pass where nothing was said of it yet: a circle of them comes to an end. */
const mostProxies = 7

function ttlOf({ ttl = mostProxies }: ClientAttributes): string {
  return String(ttl)
}

/** RFC 2971 section 3.3. */
const mostPairs = 30
/** Dovecot cuts off who sends more before the login in one line. */
const longestListBytes = 3900

/**
 * What back-ends believe of hosts that they trust, in the words of Dovecot and Zimbra: never a
 * client's own.
 */
const isReserved = /^x-(?:(?:originating|connected|session|proxy|forward)-|client-transport$|via$)/i

/** The fields of ID that a client may have passed on, each name once. */
export function passableId(pairs: readonly IdPair[]): IdPair[] {
  const seen = new Set<string>()
  return pairs.filter(([name]) => {
    const key = name.toLowerCase()
    if (name === '' || isReserved.test(name) || seen.has(key)) return false
    seen.add(key)
    return true
  })
}

/** The parameters of ID: ours, and as many of the client's as have room and need no literal. */
export function idParameters(client: ClientAttributes): string {
  const fields = {
    'x-originating-ip': client.address,
    'x-originating-port': client.port,
    'x-connected-ip': client.destinationAddress,
    'x-connected-port': client.destinationPort,
    'x-session-ext-id': client.ident,
    'x-proxy-ttl': ttlOf(client),
  }
  const pairs = Object.entries(fields).flatMap(([name, value]) =>
    value === undefined ? [] : [`"${name}" "${value}"`],
  )
  let bytes = pairs.join(' ').length
  for (const [name, value] of client.id ?? []) {
    const [key, text] = [writeQuoted(name), value === undefined ? 'NIL' : writeQuoted(value)]
    if (key === undefined || text === undefined || pairs.length === mostPairs) continue
    const pair = `${key} ${text}`
    bytes += pair.length + 1
    if (bytes > longestListBytes) break
    pairs.push(pair)
  }
  return `(${pairs.join(' ')})`
}

/** The argument of XCLIENT, a line of its own. */
export function xclientArgument(client: ClientAttributes): string {
  const attributes = {
    ADDR: client.address,
    PORT: client.port,
    DESTADDR: client.destinationAddress,
    DESTPORT: client.destinationPort,
    TTL: ttlOf(client),
  }
  return Object.entries(attributes)
    .flatMap(([name, value]) => (value === undefined ? [] : [`${name}=${value}`]))
    .join(' ')
}

/** What a client says of its way here by ID; undefined where it says nothing of it. */
export function ttlOfId(pairs: readonly IdPair[]): number | undefined {
  const [, value = ''] = pairs.find(([name]) => name.toLowerCase() === 'x-proxy-ttl') ?? []
  // Nobody may pass more than where nothing was said: who could, would keep a circle going.
  return /^\d{1,3}$/.test(value) ? Math.min(Number(value), mostProxies) : undefined
}
