/**
 * One end of a TCP connection, with or without TLS, as the rest of the program uses it: what a socket
 * of `node:net` and one of `direct/` have in common. Both behave alike; where Node's documents say
 * how, they hold for both.
 */
import type { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { DirectSocket } from './direct/direct-socket.ts'
import { intoNodeSocket } from './direct/into-node-socket.ts'

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

export function isEncrypted(connection: Connection): boolean {
  return connection instanceof DirectSocket
    ? connection.tls !== undefined
    : connection instanceof TLSSocket
}

/** Such as `TLSv1.3` and `TLS_AES_128_GCM_SHA256`; empty in clear text. */
export function describeTls(connection: Connection): {
  readonly protocol: string
  readonly cipher: string
} {
  if (connection instanceof TLSSocket) {
    const { standardName } = connection.getCipher()
    return { protocol: connection.getProtocol() ?? 'TLS', cipher: standardName }
  }
  const tls = connection instanceof DirectSocket ? connection.tls : undefined
  return tls?.describe() ?? { protocol: '', cipher: '' }
}

/**
 * Whether TLS can be put over it: nothing is unsent, and it is there. Node's sockets take care of that by
 * themselves.
 */
export function isReadyForTls(connection: Connection): boolean {
  const isDirect = connection instanceof DirectSocket
  return !isDirect || (!connection.destroyed && connection.writableLength === 0)
}

/** TLS needs a socket of Node below it, unless it is direct, too. */
export function nodeSocketOf(connection: Connection): Socket {
  return connection instanceof DirectSocket ? intoNodeSocket(connection) : (connection as Socket)
}
