/**
 * Whether anything is still on its way between sockets of this process, so that a simulated world goes
 * on only when all that was sent has come: else the kernel would say who is first.
 */
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'

/** By the port of the client. */
const servers = new Map<number, Socket>()
const clients = new Set<Socket>()

function watch(): void {
  subscribe('net.client.socket', (message) => {
    const { socket } = message as { readonly socket: Socket }
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
  })
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { readonly socket: Socket }
    const { remotePort } = socket
    if (remotePort === undefined) return
    servers.set(remotePort, socket)
    socket.on('close', () => {
      if (servers.get(remotePort) === socket) servers.delete(remotePort)
    })
  })
}

watch()

/** Sockets of TCP alone: of others nothing is known. */
export function isUnderWay(): boolean {
  for (const client of clients) {
    if (client.destroyed) continue
    if (client.connecting) return true
    const { localPort } = client
    const server = localPort === undefined ? undefined : servers.get(localPort)
    // It has ended, which the client has not seen, or is not taken yet.
    if (server === undefined) {
      if (localPort !== undefined) return true
      continue
    }
    if (client.bytesWritten > server.bytesRead) return true
    if (server.bytesWritten > client.bytesRead) return true
  }
  return false
}
