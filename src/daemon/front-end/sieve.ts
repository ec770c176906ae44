/** The ManageSieve proxy: its machines, driven as every login protocol is. */
import { createSieveBackEnd } from '../../protocol/sieve/back-end.ts'
import { createSieveFrontEnd } from '../../protocol/sieve/front-end.ts'
import { SieveWatch } from '../../protocol/sieve/joined-watch.ts'
import { commonOffers } from '../../protocol/sieve/offers.ts'
import { Join } from '../login/join.ts'
import { offersFollowing } from '../login/login-offers.ts'
import { startLoginSession } from '../login/start-login-session.ts'

const offersFor = offersFollowing('sieve', commonOffers)

export const startSieveSession = startLoginSession({
  service: 'sieve',
  createFrontEnd: (options, runtime) => createSieveFrontEnd(options, offersFor(runtime)),
  createBackEnd: createSieveBackEnd,
  createJoin: (options) => new Join(options, new SieveWatch()),
})
