/** A connection that openListener accepts: direct where the process has such sockets. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Connection } from '../../src/net/connection.ts'
import { type Listener, openListener } from '../../src/net/listener.ts'

/** When all has happened that is due now. */
export const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

/** As openListener; no client is Node's where direct sockets are used. */
export async function listenDirectly(
  onSocket: (socket: Connection) => void,
  host = '127.0.0.1',
): Promise<Listener> {
  const listener = await openListener({ host, port: 0 }, onSocket)
  // Until its loop has had a turn Node accepts clients, too.
  await turn()
  await turn()
  return listener
}

/** Both ends; the far one stays open when the other ends, and errors of neither are heard. */
export async function acceptedPair(
  host = '127.0.0.1',
): Promise<{ readonly near: Connection; readonly far: Socket }> {
  const { promise, resolve } = Promise.withResolvers<Connection>()
  const listener = await listenDirectly(resolve, host)
  const far = connect({ host, port: listener.port, noDelay: true, allowHalfOpen: true })
  far.on('error', () => undefined)
  const near = await promise
  near.on('error', () => undefined)
  listener.close()
  if (far.connecting) await once(far, 'connect')
  return { near, far }
}
