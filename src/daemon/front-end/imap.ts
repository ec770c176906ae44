/** The IMAP proxy: its machines, driven as every login protocol is. */
import { createImapBackEnd } from '../../protocol/imap/back-end.ts'
import { createImapFrontEnd } from '../../protocol/imap/front-end.ts'
import { ImapWatch } from '../../protocol/imap/joined-watch.ts'
import { Join } from '../login/join.ts'
import { startLoginSession } from '../login/start-login-session.ts'

export const startImapSession = startLoginSession({
  service: 'imap',
  createFrontEnd: createImapFrontEnd,
  createBackEnd: createImapBackEnd,
  createJoin: (options) => new Join(options, new ImapWatch()),
})
