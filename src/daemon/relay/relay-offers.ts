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
  readonly #kept = new WeakMap<Generation, { readonly version: number; readonly offers: Offers }>()

  /** What to offer to a client that comes now. */
  offersFor(generation: Generation): Offers {
    const kept = this.#kept.get(generation)
    if (kept?.version === this.version) return kept.offers
    const { messageSizeBytes } = generation.config.limits
    const known = this.knownFor(generation)
    const offers =
      known === undefined ? leastOffers(messageSizeBytes) : commonOffers(messageSizeBytes, known)
    this.#kept.set(generation, { version: this.version, offers })
    return offers
  }
}

const ofRuntime = new WeakMap<Runtime, RelayOffers>()

export function relayOffersOf(runtime: Runtime): RelayOffers {
  const offers = ofRuntime.get(runtime) ?? new RelayOffers(runtime, messages)
  ofRuntime.set(runtime, offers)
  return offers
}
