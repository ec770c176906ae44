/** How the relay takes over an accepted socket, by SMTP and by LMTP. */
import { clientOf } from '../client-address.ts'
import { relayOffersOf } from './relay-offers.ts'
import { RelaySession } from './relay-session.ts'
import type { StartSession } from '../runtime.ts'

export function startRelaySession(protocol: 'smtp' | 'lmtp'): StartSession {
  const start: StartSession = (socket, listener, runtime) => {
    const address = clientOf(socket)
    // Reset between connect and accept: there is nobody to talk to.
    if (address === undefined) socket.destroy()
    else new RelaySession(address, { protocol, listener }, runtime).begin(socket)
  }
  return Object.assign(start, {
    renewed: (runtime: Parameters<StartSession>[2]) => relayOffersOf(runtime).watch(),
  })
}
