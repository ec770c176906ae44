/** The ManageSieve proxy: its machines, driven as every login protocol is. */
import { createSieveBackEnd } from '../../protocol/sieve/back-end.ts'
import { createSieveFrontEnd } from '../../protocol/sieve/front-end.ts'
import type { Runtime, StartSession } from '../runtime.ts'
import { scriptOffersOf } from '../script-offers.ts'
import { startLoginSession } from '../start-login-session.ts'

const start: StartSession = (socket, listener, runtime) =>
  startLoginSession(socket, listener, runtime, {
    service: 'sieve',
    createFrontEnd: (options) =>
      createSieveFrontEnd(options, scriptOffersOf(runtime).offersFor(runtime.current)),
    createBackEnd: createSieveBackEnd,
  })

export const startSieveSession: StartSession = Object.assign(start, {
  renewed: (runtime: Runtime) => scriptOffersOf(runtime).watch(),
})
