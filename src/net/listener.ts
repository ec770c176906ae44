/** A listening TCP socket. */
import { createServer } from 'node:net'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Connection } from './connection.ts'
import { ignoreError } from './dial.ts'
import { acceptDirectly } from './direct/acceptor.ts'
import { directSockets } from './direct/direct-sockets.ts'

/** Connections that the kernel holds while the worker is busy; the kernel has its own bound too. */
const backlog = 4096

export interface ListenAddress {
  readonly host: string
  readonly port: number
}

export interface Listener {
  /** The bound port, also where 0 was asked for. */
  readonly port: number
  /** Accepts nothing more; accepted connections go on. */
  close(): void
}

/**
 * Opens `host:port`. Sockets are handed over with errors ignored until their owner listens for them.
 * Throws LISTEN_FAILED, saying which address and why.
 */
export function openListener(
  { host, port }: ListenAddress,
  onSocket: (socket: Connection) => void,
): Promise<Listener> {
  const server = createServer({ noDelay: true }, (socket) => {
    // A reset between accept and the first read must not end the process.
    socket.on('error', ignoreError)
    onSocket(socket)
  })
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(listenFailed(host, port, error)))
    server.listen({ host, port, backlog }, () => {
      server.removeAllListeners('error')
      // Such as EMFILE at accept: the connection is lost, the listener is not.
      server.on('error', ignoreError)
      const bound = server.address()
      const poller = directSockets()
      const acceptor = poller && acceptDirectly(poller, server, onSocket)
      resolve({
        port: bound !== null && typeof bound === 'object' ? bound.port : port,
        close: () => {
          acceptor?.close()
          server.close()
        },
      })
    })
  })
}

/** What keeps an address from being listened on, in words. */
export function listenFailed(
  host: string,
  port: number,
  error: NodeJS.ErrnoException,
): MailmuxError {
  const address = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return new MailmuxError('LISTEN_FAILED', `${address}: ${explain(error)}`, { cause: error })
}

function explain(error: NodeJS.ErrnoException): string {
  switch (error.code) {
    case 'EADDRINUSE':
      return 'the port is in use'
    case 'EACCES':
      return 'this user may not listen on it (ports below 1024 need a privilege)'
    case 'EADDRNOTAVAIL':
      return 'this host does not have the address'
    case 'ENOTFOUND':
      return 'the host name is not known'
    default:
      return messageOf(error)
  }
}
