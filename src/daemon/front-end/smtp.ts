/** `serve smtp`: the relay of incoming mail. */
import { peerOf } from '../client-address.ts'
import { RelaySession } from '../relay-session.ts'
import type { StartSession } from '../runtime.ts'

export const startSmtpSession: StartSession = (socket, listener, runtime) => {
  const peer = peerOf(socket)
  // Reset between connect and accept: there is nobody to talk to.
  if (peer === undefined) socket.destroy()
  else new RelaySession(peer, listener, runtime).begin(socket)
}
