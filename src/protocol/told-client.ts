/**
 * A client as it is told to a back-end before a login, in the words of Dovecot, which others have
 * taken over: fields of ID (RFC 2971) for IMAP, XCLIENT for POP3 and ManageSieve. Back-ends believe
 * them of hosts that they trust (`login_trusted_networks`).
 */
import type { ClientAttributes } from './smtp/client-attributes.ts'

/** Proxies that a login may pass where nothing was said of it yet: a circle of them comes to an end. */
const mostProxies = 7

function ttlOf({ ttl = mostProxies }: ClientAttributes): string {
  return String(ttl)
}

/** The parameters of ID. */
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

/** What a client says of its way here in the fields of ID; undefined where it says nothing of it. */
export function ttlOfId(fields: readonly string[]): number | undefined {
  const at = fields.findIndex(
    (field, index) => index % 2 === 0 && field.toLowerCase() === 'x-proxy-ttl',
  )
  const value = at === -1 ? '' : (fields[at + 1] ?? '')
  // Nobody may pass more than where nothing was said: who could, would keep a circle going.
  return /^\d{1,3}$/.test(value) ? Math.min(Number(value), mostProxies) : undefined
}
