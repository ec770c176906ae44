/** What a connection tells later than in the call that brought it about, and the errors that it has. */
import type { EventEmitter } from 'node:events'
import { getSystemErrorName } from 'node:util'

export function emitClose(socket: EventEmitter, error: Error | undefined): void {
  // No error of a connection may end the process.
  if (error !== undefined && socket.listenerCount('error') > 0) socket.emit('error', error)
  socket.emit('close')
}

export function emitDrain(socket: EventEmitter & { readonly destroyed: boolean }): void {
  if (!socket.destroyed) socket.emit('drain')
}

export function emitFinish(socket: EventEmitter): void {
  socket.emit('finish')
}

/** What was to be sent is not. */
export function closedError(): Error {
  return Object.assign(new Error('the connection is closed'), { code: 'ERR_STREAM_DESTROYED' })
}

/** `result`: a negative error number. `whereTo`: with what the call was about. */
export function systemError(call: string, result: number, whereTo = ''): Error {
  const code = getSystemErrorName(result)
  const error = new Error([call, code, whereTo].filter((word) => word !== '').join(' '))
  return Object.assign(error, { code, errno: result, syscall: call })
}
