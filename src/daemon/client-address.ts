/** Where a client connects from. */
import type { Socket } from 'node:net'

/** `192.0.2.7:40123`, `[2001:db8::7]:40123`; undefined where the client is gone already. */
export function peerOf({ remoteAddress, remotePort }: Socket): string | undefined {
  if (remoteAddress === undefined) return undefined
  // IPv4 clients of a listener on `[::]` are shown as what they are.
  const address = remoteAddress.startsWith('::ffff:') ? remoteAddress.slice(7) : remoteAddress
  return address.includes(':') ? `[${address}]:${remotePort}` : `${address}:${remotePort}`
}

/** Whether nobody on a network can listen: the client runs on this host. */
export function isFromThisHost(client: Socket): boolean {
  const { remoteAddress } = client
  if (remoteAddress === undefined) return false
  // The local address costs a system call: it is asked for last.
  return (
    /^(?:::1|(?:::ffff:)?127\.[\d.]+)$/.test(remoteAddress) || remoteAddress === client.localAddress
  )
}
