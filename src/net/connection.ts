/**
 * One end of a TCP connection, with or without TLS, as the rest of the program uses it: what a socket
 * of `node:net` and one of `direct/` have in common. Both behave alike; where Node's documents say
 * how, they hold for both.
 */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'

type Written = (error?: Error | null) => void

/**
 * Emits `connect`, `data`, `drain`, `end`, `finish`, `error` and `close`. Nothing is read before
 * `resume` where there is no inlet to read into.
 */
export interface Connection extends EventEmitter {
  readonly connecting: boolean
  readonly destroyed: boolean
  readonly readableEnded: boolean
  readonly readableLength: number
  readonly writable: boolean
  readonly writableEnded: boolean
  readonly writableLength: number
  readonly writableNeedDrain: boolean
  readonly remoteAddress?: string | undefined
  readonly remotePort?: number | undefined
  readonly localAddress?: string | undefined
  readonly localPort?: number | undefined
  /** Whether our side stays open when the other has ended its own. */
  allowHalfOpen: boolean
  write(octets: Uint8Array, written?: Written): boolean
  write(text: string, encoding?: 'latin1' | 'utf8'): boolean
  end(done?: () => void): unknown
  end(text: string): unknown
  destroy(): unknown
  /** Destroys it when all that was written is on its way. */
  destroySoon(): void
  pause(): unknown
  resume(): unknown
  isPaused(): boolean
  /** Puts back what was read too far. */
  unshift(octets: Buffer): void
  cork(): void
  uncork(): void
  setKeepAlive(isWanted: boolean, idleMs: number): unknown
}

export function isEncrypted(connection: Connection): connection is TLSSocket {
  return connection instanceof TLSSocket
}

/** A connection that a socket of Node can take over. */
interface Convertible {
  /** Gives its descriptor away, with nothing unsent; it is of no more use itself. */
  intoNodeSocket(): Socket
}

/** TLS needs a socket of Node below it. */
export function nodeSocketOf(connection: Connection): Socket {
  return 'intoNodeSocket' in connection
    ? (connection as Connection & Convertible).intoNodeSocket()
    : (connection as Socket)
}
