/** What a pump hears of its two sockets: by functions that all pumps share, and none of a session. */
import type { Connection } from './connection.ts'

interface Listener {
  takeFromClient(chunk: Buffer): void
  resumeClient(): void
  clientFinished(): void
  ended(socket: Connection): void
  failed(socket: Connection): void
  closed(socket: Connection): void
}

const listenerOf = Symbol('pump')

interface Joined extends Connection {
  [listenerOf]?: Listener
}

/** `pump` hears of the socket from now on. */
export function listenToEnd(socket: Joined, pump: Listener): void {
  socket[listenerOf] = pump
  socket.on('end', onEnd).on('error', onError).on('close', onClose)
}

export function listenToClient(client: Connection): void {
  client.on('data', onClientData)
}

/** What was written to the back-end is on its way. */
export function awaitDrain(backend: Connection): void {
  backend.once('drain', onBackendDrain)
}

/** What was written to the client, and its end, are on their way. */
export function awaitFinish(client: Connection): void {
  client.once('finish', onClientFinish)
}

function onClientData(this: Joined, chunk: Buffer): void {
  this[listenerOf]?.takeFromClient(chunk)
}

function onBackendDrain(this: Joined): void {
  this[listenerOf]?.resumeClient()
}

function onClientFinish(this: Joined): void {
  this[listenerOf]?.clientFinished()
}

function onEnd(this: Joined): void {
  this[listenerOf]?.ended(this)
}

function onError(this: Joined): void {
  this[listenerOf]?.failed(this)
}

function onClose(this: Joined): void {
  this[listenerOf]?.closed(this)
}
