/** The IMAP proxy: its machines, driven as every login protocol is. */
import { createImapBackEnd } from '../../protocol/imap/back-end.ts'
import { createImapFrontEnd } from '../../protocol/imap/front-end.ts'
import type { LoginProtocol } from '../login-attempt.ts'
import { loginOffersOf } from '../login-offers.ts'
import type { Runtime, StartSession } from '../runtime.ts'
import { startLoginSession } from '../start-login-session.ts'

const imap: LoginProtocol = {
  service: 'imap',
  createFrontEnd: createImapFrontEnd,
  createBackEnd: createImapBackEnd,
}

const start: StartSession = (socket, listener, runtime) =>
  startLoginSession(socket, listener, runtime, imap)

export const startImapSession: StartSession = Object.assign(start, {
  renewed: (runtime: Runtime) => loginOffersOf(runtime, 'imap').watch(),
})
