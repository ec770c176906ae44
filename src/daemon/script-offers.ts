/** What a ManageSieve client is told before its login: that which every back-end holds to. */
import { commonOffers, leastOffers, type SieveOffers } from '../protocol/sieve/offers.ts'
import { loginOffersOf } from './login-offers.ts'
import type { Runtime } from './runtime.ts'

/** For a client that comes now. */
export function scriptOffersFor(runtime: Runtime): SieveOffers {
  const known = loginOffersOf(runtime, 'sieve').knownFor(runtime.current)
  return known === undefined
    ? leastOffers
    : commonOffers(known.map(({ capabilities }) => capabilities))
}
