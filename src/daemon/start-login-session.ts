/** How every proxy takes over an accepted socket. */
import type { Socket } from 'node:net'
import type { ListenerConfig } from '../config/config.ts'
import { clientOf } from './client-address.ts'
import type { LoginProtocol } from './login-attempt.ts'
import { LoginSession } from './login-session.ts'
import type { Runtime } from './runtime.ts'

export function startLoginSession(
  socket: Socket,
  listener: ListenerConfig,
  runtime: Runtime,
  protocol: LoginProtocol,
): void {
  const address = clientOf(socket)
  // Reset between connect and accept: there is nobody to talk to.
  if (address === undefined) socket.destroy()
  else new LoginSession(address, runtime, protocol).begin(socket, listener)
}
