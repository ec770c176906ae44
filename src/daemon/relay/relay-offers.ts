/**
 * What a relay can offer: that which every back-end holds to. Each connection that messages go by
 * shows what its back-end offers, besides those that are made to ask.
 */
import { askOffers } from '../../backend/smtp-offers.ts'
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import { placeOf } from '../../backend/smtp-pool.ts'
import { type Capabilities, describeCapabilities } from '../../protocol/smtp/capabilities.ts'
import { commonOffers, leastOffers, type Offers } from '../../protocol/smtp/offers.ts'
import { BackendOffers, type OfferKind } from '../backend-offers.ts'
import { messagePlans } from './relay-route.ts'
import type { Generation, Runtime } from '../runtime.ts'

const messages: OfferKind<SmtpPlan, Capabilities> = {
  plansOf: messagePlans,
  placeOf,
  protocolOf: ({ protocol }) => protocol,
  ask: askOffers,
  describe: describeCapabilities,
}

class RelayOffers extends BackendOffers<SmtpPlan, Capabilities> {
  /** What to offer to a client that comes now. */
  readonly offersFor: (generation: Generation) => Offers = this.kept((generation) => {
    const { messageSizeBytes } = generation.config.limits
    const known = this.knownFor(generation)
    return known === undefined
      ? leastOffers(messageSizeBytes)
      : commonOffers(messageSizeBytes, known)
  })
}

const ofRuntime = new WeakMap<Runtime, RelayOffers>()

export function relayOffersOf(runtime: Runtime): RelayOffers {
  const offers = ofRuntime.get(runtime) ?? new RelayOffers(runtime, messages)
  ofRuntime.set(runtime, offers)
  return offers
}
