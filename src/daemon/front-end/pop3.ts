/** The POP3 proxy: its machines, driven as every login protocol is. */
import { createPop3BackEnd } from '../../protocol/pop3/back-end.ts'
import { createPop3FrontEnd } from '../../protocol/pop3/front-end.ts'
import { Pop3Watch } from '../../protocol/pop3/joined-watch.ts'
import { Join } from '../join.ts'
import { startLoginSession } from '../start-login-session.ts'

export const startPop3Session = startLoginSession({
  service: 'pop3',
  createFrontEnd: createPop3FrontEnd,
  createBackEnd: createPop3BackEnd,
  createJoin: (options) => new Join(options, new Pop3Watch()),
})
