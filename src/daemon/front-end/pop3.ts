/** The POP3 proxy: its machines, driven as every login protocol is. */
import { createPop3BackEnd } from '../../protocol/pop3/back-end.ts'
import { createPop3FrontEnd } from '../../protocol/pop3/front-end.ts'
import type { LoginProtocol } from '../login-attempt.ts'
import { loginOffersOf } from '../login-offers.ts'
import type { Runtime, StartSession } from '../runtime.ts'
import { startLoginSession } from '../start-login-session.ts'

const pop3: LoginProtocol = {
  service: 'pop3',
  createFrontEnd: createPop3FrontEnd,
  createBackEnd: createPop3BackEnd,
}

const start: StartSession = (socket, listener, runtime) =>
  startLoginSession(socket, listener, runtime, pop3)

export const startPop3Session: StartSession = Object.assign(start, {
  renewed: (runtime: Runtime) => loginOffersOf(runtime, 'pop3').watch(),
})
