/** How every proxy takes over an accepted socket. */
import { clientOf } from '../client-address.ts'
import type { LoginProtocol } from './login-protocol.ts'
import { loginOffersOf } from './login-offers.ts'
import { LoginSession } from './login-session.ts'
import type { Runtime, StartSession } from '../runtime.ts'

export function startLoginSession(protocol: LoginProtocol): StartSession {
  const start: StartSession = (socket, listener, runtime) => {
    const address = clientOf(socket)
    // Reset between connect and accept: there is nobody to talk to.
    if (address === undefined) socket.destroy()
    else new LoginSession(address, runtime, protocol).begin(socket, listener)
  }
  return Object.assign(start, {
    renewed: (runtime: Runtime) => loginOffersOf(runtime, protocol.service).watch(),
  })
}
