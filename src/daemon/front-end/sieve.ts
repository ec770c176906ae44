/** The ManageSieve proxy: its machines, driven as every login protocol is. */
import { createSieveBackEnd } from '../../protocol/sieve/back-end.ts'
import { createSieveFrontEnd } from '../../protocol/sieve/front-end.ts'
import { loginOffersOf } from '../login-offers.ts'
import type { Runtime, StartSession } from '../runtime.ts'
import { scriptOffersFor } from '../script-offers.ts'
import { startLoginSession } from '../start-login-session.ts'

const start: StartSession = (socket, listener, runtime) =>
  startLoginSession(socket, listener, runtime, {
    service: 'sieve',
    createFrontEnd: (options) => createSieveFrontEnd(options, scriptOffersFor(runtime)),
    createBackEnd: createSieveBackEnd,
  })

export const startSieveSession: StartSession = Object.assign(start, {
  renewed: (runtime: Runtime) => loginOffersOf(runtime, 'sieve').watch(),
})
