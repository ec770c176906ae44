/** What a direct socket is made of. */
import type { Inlet } from '../dial.ts'
import type { SocketAddress } from './socket-address.ts'
import type { TlsSession } from './tls-session.ts'

export interface DirectOptions {
  /** Of a connection, or one under way, which is the socket's from now on; or a negative error number. */
  readonly descriptor: number
  readonly isConnecting?: boolean
  /** What is read goes there; without one the socket emits `data`. */
  readonly inlet?: Inlet | undefined
  /** Where it leads to. */
  readonly remote: SocketAddress
  /** After its handshake, over a descriptor that the poller knows; the socket's from now on. */
  readonly tls?: TlsSession
  /** What was told of the descriptor meanwhile. */
  readonly events?: number
}

/** Who has the connection that was given away. */
export interface Heir {
  destroy(): unknown
}
