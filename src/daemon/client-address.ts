/** Where a client connects from: as its socket tells it, or the proxy before us. */
import { canonicalHost, formatHost, type HostAddress, withoutZone } from '../mail/network.ts'
import type { Connection } from '../net/connection.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'

export interface ClientAddress {
  readonly client: HostAddress
  /** Where it has connected to. */
  readonly server: HostAddress
  /** A proxy looks whether we are there: nothing that is worth a line of the log. */
  readonly isCheck: boolean
}

const named = Symbol('client address')

/** Kept at the socket: it is asked for several times on the way in. */
interface Named extends Connection {
  [named]?: ClientAddress
}

/** From now on the socket counts as that of another client. */
export function nameClient(socket: Named, address: ClientAddress): void {
  socket[named] = address
}

/** Undefined where the client is gone already. */
export function clientOf(socket: Named): ClientAddress | undefined {
  const known = socket[named]
  if (known !== undefined) return known
  const { remoteAddress = '', remotePort = 0 } = socket
  // IPv4 clients of a listener on `[::]` are shown as what they are.
  const address = canonicalHost(withoutZone(remoteAddress))
  if (address === undefined) return undefined
  const direct = new DirectAddress(socket, { address, port: remotePort })
  socket[named] = direct
  return direct
}

class DirectAddress implements ClientAddress {
  readonly client: HostAddress
  readonly isCheck = false
  readonly #socket: Connection

  constructor(socket: Connection, client: HostAddress) {
    this.client = client
    this.#socket = socket
  }

  /** Asked for by few, and it costs a system call. */
  get server(): HostAddress {
    const { localAddress = '', localPort = 0 } = this.#socket
    return { address: canonicalHost(withoutZone(localAddress)) ?? '::', port: localPort }
  }
}

/** `192.0.2.7:40123`, `[2001:db8::7]:40123`; empty where the client is gone already. */
export function peerOf(socket: Connection): string {
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

/** Who tries to log in. */
export interface AttemptingClient {
  readonly address: string
  /** How many more proxies it may pass, where it is one itself. */
  readonly ttl: number | undefined
  /** All that back-ends may hear of it; costs a system call. */
  describe(): ClientAttributes
}

/** `introduction`: what it says of itself. */
export function attemptingAs(
  address: ClientAddress,
  introduction: ClientAttributes,
): AttemptingClient {
  return {
    address: address.client.address,
    ttl: introduction.ttl,
    describe: () => ({ ...attributesOf(address), ...introduction }),
  }
}

/** Whether nobody on a network can listen: the client runs on this host. */
export function isFromThisHost(socket: Named): boolean {
  const { remoteAddress } = socket
  if (remoteAddress === undefined) return false
  const known = socket[named]
  const isProxied = known !== undefined && !(known instanceof DirectAddress)
  if (isProxied && !isLoopback(known.client.address)) return false
  // The local address costs a system call: it is asked for last.
  return isLoopback(remoteAddress) || remoteAddress === socket.localAddress
}

function isLoopback(address: string): boolean {
  return /^(?:::1|(?:::ffff:)?127\.[\d.]+)$/.test(address)
}
