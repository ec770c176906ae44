/** Where a client connects from: as its socket tells it, or the proxy before us. */
import type { Socket } from 'node:net'
import { canonicalHost, formatHost, type HostAddress } from '../mail/network.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'

export interface ClientAddress {
  readonly client: HostAddress
  /** Where it has connected to. */
  readonly server: HostAddress
  /** A proxy looks whether we are there: nothing that is worth a line of the log. */
  readonly isCheck: boolean
}

const proxied = new WeakMap<Socket, ClientAddress>()

/** From now on the socket counts as that of another client. */
export function nameClient(socket: Socket, address: ClientAddress): void {
  proxied.set(socket, address)
}

/** Undefined where the client is gone already. */
export function clientOf(socket: Socket): ClientAddress | undefined {
  const named = proxied.get(socket)
  if (named !== undefined) return named
  const { remoteAddress, remotePort = 0 } = socket
  // IPv4 clients of a listener on `[::]` are shown as what they are.
  const address = canonicalHost(remoteAddress?.replace(/%.*$/, '') ?? '')
  if (address === undefined) return undefined
  return {
    client: { address, port: remotePort },
    // Asked for by few, and it costs a system call.
    get server() {
      return serverOf(socket)
    },
    isCheck: false,
  }
}

function serverOf({ localAddress = '', localPort = 0 }: Socket): HostAddress {
  return { address: canonicalHost(localAddress.replace(/%.*$/, '')) ?? '::', port: localPort }
}

/** `192.0.2.7:40123`, `[2001:db8::7]:40123`; empty where the client is gone already. */
export function peerOf(socket: Socket): string {
  const address = clientOf(socket)
  return address === undefined ? '' : formatHost(address.client)
}

/** As it is told to back-ends. */
export function attributesOf({ client, server }: ClientAddress): ClientAttributes {
  return {
    address: client.address,
    port: client.port,
    destinationAddress: server.address,
    destinationPort: server.port,
  }
}

/** Whether nobody on a network can listen: the client runs on this host. */
export function isFromThisHost(socket: Socket): boolean {
  const { remoteAddress } = socket
  if (remoteAddress === undefined) return false
  const named = proxied.get(socket)
  if (named !== undefined && !isLoopback(named.client.address)) return false
  // The local address costs a system call: it is asked for last.
  return isLoopback(remoteAddress) || remoteAddress === socket.localAddress
}

function isLoopback(address: string): boolean {
  return /^(?:::1|(?:::ffff:)?127\.[\d.]+)$/.test(address)
}
