/**
 * What a relay can offer: that which every back-end holds to. Each connection shows what its back-end
 * offers; besides, all are asked at the start, with each new config, and every few minutes. What was
 * seen last counts, also of one that cannot be reached now; one that was never seen does not count once
 * it was asked in vain, since nothing can be sent there.
 */
import { askOffers } from '../backend/smtp-offers.ts'
import type { SmtpPlan } from '../backend/smtp-connection.ts'
import { placeOf } from '../backend/smtp-pool.ts'
import { type Capabilities, describeCapabilities } from '../protocol/smtp/capabilities.ts'
import { commonOffers, leastOffers, type Offers } from '../protocol/smtp/offers.ts'
import { messagePlans } from './relay-route.ts'
import type { Generation, Runtime } from './runtime.ts'

const askEveryMs = 300_000
/** Workers, and hosts, do not ask all at once. */
const spread = 0.2

const asked = 'asked in vain'

export class RelayOffers {
  readonly #runtime: Runtime
  readonly #known = new Map<string, Capabilities | typeof asked>()
  #timer: NodeJS.Timeout | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** What to offer to a client that comes now. */
  offersFor(generation: Generation): Offers {
    const { messageSizeBytes } = generation.config.limits
    const backends: Capabilities[] = []
    for (const plan of messagePlans(generation)) {
      const known = this.#known.get(placeOf(plan))
      if (known === undefined) return leastOffers(messageSizeBytes)
      if (known !== asked) backends.push(known)
    }
    return commonOffers(messageSizeBytes, backends)
  }

  learn(plan: SmtpPlan, offered: Capabilities): void {
    const place = placeOf(plan)
    const offers = describeCapabilities(offered)
    const before = this.#known.get(place)
    this.#known.set(place, offered)
    const isNew = before === undefined || before === asked
    if (!isNew && describeCapabilities(before).join() === offers.join()) return
    const { backend, protocol } = plan
    this.#runtime.log('backend.offers', { backend, protocol, offers })
  }

  /** Asks all back-ends now. */
  async ask(): Promise<void> {
    await Promise.all(
      messagePlans(this.#runtime.current).map(async (plan) => {
        const offered = await askOffers(plan)
        const place = placeOf(plan)
        if (offered !== undefined) this.learn(plan, offered)
        else if (!this.#known.has(place)) this.#known.set(place, asked)
      }),
    )
  }

  /** Asks now and again, for as long as the process lives. */
  watch(): void {
    clearTimeout(this.#timer)
    void this.ask()
    const waitMs = askEveryMs * (1 - spread * Math.random())
    this.#timer = setTimeout(() => this.watch(), waitMs).unref()
  }
}

const ofRuntime = new WeakMap<Runtime, RelayOffers>()

export function relayOffersOf(runtime: Runtime): RelayOffers {
  const offers = ofRuntime.get(runtime) ?? new RelayOffers(runtime)
  ofRuntime.set(runtime, offers)
  return offers
}
