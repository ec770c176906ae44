/** How a back-end is told whom a connection or a message is for. */
import type { ClientPassing } from '../config/config.ts'
import { formatProxyHeader } from '../protocol/proxy-header.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'

export interface PassedClient {
  readonly clientAddress: ClientPassing
  /** Undefined where we speak for ourselves. */
  readonly client: ClientAttributes | undefined
}

/** What goes before everything on the connection; undefined where the back-end expects nothing. */
export function prefaceFor({ clientAddress, client }: PassedClient): Buffer | undefined {
  if (clientAddress !== 'proxy-v1' && clientAddress !== 'proxy-v2') return undefined
  const version = clientAddress === 'proxy-v1' ? 1 : 2
  if (client === undefined) return formatProxyHeader(version, { kind: 'local' })
  const { address, port = 0, destinationAddress, destinationPort = 0 } = client
  if (address === undefined || destinationAddress === undefined) {
    return formatProxyHeader(version, { kind: 'unknown' })
  }
  const source = { address, port }
  const destination = { address: destinationAddress, port: destinationPort }
  return formatProxyHeader(version, { kind: 'proxied', source, destination })
}

/** Whom XCLIENT is to name. */
export function connectedFor({
  clientAddress,
  client,
}: PassedClient): ClientAttributes | undefined {
  return clientAddress === 'xclient' ? client : undefined
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
