/** The IMAP proxy: its machines, driven as every login protocol is. */
import { createImapBackEnd } from '../../protocol/imap/back-end.ts'
import { createImapFrontEnd } from '../../protocol/imap/front-end.ts'
import type { LoginProtocol } from '../login-attempt.ts'
import type { StartSession } from '../runtime.ts'
import { startLoginSession } from '../start-login-session.ts'

const imap: LoginProtocol = {
  service: 'imap',
  createFrontEnd: createImapFrontEnd,
  createBackEnd: createImapBackEnd,
}

export const startImapSession: StartSession = (socket, listener, runtime) =>
  startLoginSession(socket, listener, runtime, imap)
