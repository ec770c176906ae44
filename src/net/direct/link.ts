/** How octets get from a connection to the kernel, and from there: as they are, or through TLS. */
import { constants } from 'node:os'

/** -EBUSY: what TLS has to say must be sent before more is received. */
export const mustSendFirst = -constants.errno.EBUSY

/** Results: how many octets, or a negative error number, -EAGAIN where it would have to wait. */
export interface Link {
  /** Reads into the whole of `octets`; 0: the other side has ended. -EINTR: to be called again, later. */
  receive(descriptor: number, octets: Uint8Array): number
  /** Whether the other side has ended, and all that it has sent was received. */
  isAtEnd(descriptor: number): boolean
  /** Of the first `length` octets. What was refused comes again, with more behind it maybe. */
  send(descriptor: number, octets: Uint8Array, length: number): number
  /** Nothing more will be sent. `isClosing`: the connection is closed next, which tells the kernel. */
  endSending(descriptor: number, isClosing: boolean): void
  /** The connection is closed, and the link of no more use. */
  release(): void
}
