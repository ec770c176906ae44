/**
 * What a ManageSieve client is told before its login: that which every back-end holds to. All are
 * asked at the start, with each new config, and every few minutes. What was seen last counts, also of
 * one that cannot be reached now; one that was never seen does not count once it was asked in vain.
 */
import { probeBackend } from '../backend/probe.ts'
import type { BackendConfig, Endpoint } from '../config/config.ts'
import {
  type Capability,
  commonOffers,
  leastOffers,
  type SieveOffers,
} from '../protocol/sieve/offers.ts'
import type { Generation, Runtime } from './runtime.ts'

const askEveryMs = 300_000
/** Workers, and hosts, do not ask all at once. */
const spread = 0.2

const asked = 'asked in vain'

interface Place {
  readonly backend: BackendConfig
  readonly endpoint: Endpoint
  /** What is known is of this. */
  readonly key: string
}

export class ScriptOffers {
  readonly #runtime: Runtime
  readonly #known = new Map<string, readonly Capability[] | typeof asked>()
  #timer: NodeJS.Timeout | undefined

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  /** What to tell a client that comes now. */
  offersFor(generation: Generation): SieveOffers {
    const backends: (readonly Capability[])[] = []
    for (const { key } of placesOf(generation)) {
      const known = this.#known.get(key)
      if (known === undefined) return leastOffers
      if (known !== asked) backends.push(known)
    }
    return commonOffers(backends)
  }

  /** Asks all back-ends now. */
  async ask(): Promise<void> {
    const generation = this.#runtime.current
    const places = placesOf(generation)
    await Promise.all(places.map((place) => this.#askOne(generation, place)))
  }

  /** Asks now and again, for as long as the process lives. */
  watch(): void {
    clearTimeout(this.#timer)
    void this.ask()
    const waitMs = askEveryMs * (1 - spread * Math.random())
    this.#timer = setTimeout(() => this.watch(), waitMs).unref()
  }

  async #askOne({ config, backendTls }: Generation, place: Place): Promise<void> {
    const { backend, endpoint, key } = place
    const context = backendTls.get(backend.name)
    const { ok, capabilities = [] } = await probeBackend({
      backend: backend.name,
      protocol: 'sieve',
      endpoint,
      trust: context && { context, name: backend.tlsName },
      hostname: config.hostname,
      clientAddress: backend.clientAddress,
      timeoutMs: config.limits.connectTimeoutMs,
    })
    const before = this.#known.get(key)
    if (!ok) {
      if (before === undefined) this.#known.set(key, asked)
      return
    }
    this.#known.set(key, capabilities)
    const isNew = before === undefined || before === asked
    if (!isNew && before.join('\n') === capabilities.join('\n')) return
    const offers = { backend: backend.name, protocol: 'sieve', offers: capabilities } as const
    this.#runtime.log('backend.offers', offers)
  }
}

function placesOf({ config }: Generation): Place[] {
  return [...config.backends.values()].flatMap((backend) => {
    const endpoint = backend.endpoints.sieve
    if (endpoint === undefined) return []
    const { host, port, tls } = endpoint
    return [{ backend, endpoint, key: `${host} ${port} ${tls} ${backend.tlsName}` }]
  })
}

const ofRuntime = new WeakMap<Runtime, ScriptOffers>()

export function scriptOffersOf(runtime: Runtime): ScriptOffers {
  const offers = ofRuntime.get(runtime) ?? new ScriptOffers(runtime)
  ofRuntime.set(runtime, offers)
  return offers
}
