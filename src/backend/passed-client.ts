/** How a back-end is told whom a connection or a message is for. */
import type { ClientPassing, LoginService } from '../config/config.ts'
import { canonicalHost } from '../mail/network.ts'
import type { Connection } from '../net/connection.ts'
import type { Preface } from '../net/dial.ts'
import { formatProxyHeader, type ProxyHeader } from '../protocol/proxy-header.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'

export interface PassedClient {
  readonly clientAddress: ClientPassing
  /** Undefined where we speak for ourselves. */
  readonly client: ClientAttributes | undefined
}

/** What goes before everything on the connection; undefined where the back-end expects nothing. */
export function prefaceFor({ clientAddress, client }: PassedClient): Preface | undefined {
  if (clientAddress !== 'proxy-v1' && clientAddress !== 'proxy-v2') return undefined
  const version = clientAddress === 'proxy-v1' ? 1 : 2
  return (socket) => formatProxyHeader(version, headerFor(client) ?? ownHeader(socket, version))
}

function headerFor(client: ClientAttributes | undefined): ProxyHeader | undefined {
  const { address, port = 0, destinationAddress, destinationPort = 0 } = client ?? {}
  if (address === undefined || destinationAddress === undefined) return undefined
  const source = { address, port }
  const destination = { address: destinationAddress, port: destinationPort }
  return { kind: 'proxied', source, destination }
}

/** For ourselves, or for whom we do not know. Postfix takes no UNKNOWN of version 1: it hears our ends. */
function ownHeader(socket: Connection, version: 1 | 2): ProxyHeader {
  if (version === 2) return { kind: 'local' }
  const { localAddress = '', localPort = 0, remoteAddress = '', remotePort = 0 } = socket
  const [own, other] = [localAddress, remoteAddress].map((text) => canonicalHost(text))
  if (own === undefined || other === undefined) return { kind: 'unknown' }
  return {
    kind: 'proxied',
    source: { address: own, port: localPort },
    destination: { address: other, port: remotePort },
  }
}

/** Whom XCLIENT is to name. */
export function connectedFor({
  clientAddress,
  client,
}: PassedClient): ClientAttributes | undefined {
  return clientAddress === 'xclient' ? client : undefined
}

/** Whom a back-end is told of before a login: by ID in IMAP, by XCLIENT elsewhere. */
export function introducedFor(
  service: LoginService,
  { clientAddress, client }: PassedClient,
): ClientAttributes | undefined {
  const isTold = clientAddress === 'xclient' || (clientAddress === 'id' && service === 'imap')
  return isTold ? client : undefined
}

/** Whom XFORWARD is to name. */
export function forwardedFor({
  clientAddress,
  client,
}: PassedClient): ClientAttributes | undefined {
  return clientAddress === 'xforward' ? client : undefined
}

/** What must be the same for a connection to serve another user; '' where any will do. */
export function clientKeyOf({ clientAddress, client }: PassedClient): string {
  const isBound = clientAddress !== 'none' && clientAddress !== 'xforward'
  return isBound && client !== undefined ? JSON.stringify(client) : ''
}
