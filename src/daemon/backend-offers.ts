/**
 * What back-ends offer, for a service that can offer only what all of them hold to. All are asked at
 * the start, with each new config, and every few minutes; what else shows it is learned besides. What
 * was seen last counts, also of a back-end that cannot be reached now; one that was never seen does
 * not count once it was asked in vain, since nobody can be sent there.
 */
import type { BackendProtocol } from '../config/config.ts'
import type { Generation, Runtime } from './runtime.ts'

/** What a service speaks to its back-ends, and how to ask one. */
export interface OfferKind<Plan extends { readonly backend: string }, Offered> {
  readonly plansOf: (generation: Generation) => readonly Plan[]
  /** Names the place that a plan leads to. */
  readonly placeOf: (plan: Plan) => string
  readonly protocolOf: (plan: Plan) => BackendProtocol
  /** Undefined where it does not say. Never rejects. */
  readonly ask: (plan: Plan) => Promise<Offered | undefined>
  /** In the words of the protocol, for the event. */
  readonly describe: (offered: Offered) => readonly string[]
}

const askEveryMs = 300_000
const doubtEveryMs = 10_000
/** Workers, and hosts, do not ask all at once. */
const spread = 0.2

const asked = 'asked in vain'

export class BackendOffers<Plan extends { readonly backend: string }, Offered extends object> {
  readonly #runtime: Runtime
  readonly #kind: OfferKind<Plan, Offered>
  readonly #known = new Map<string, Offered | typeof asked>()
  #timer: NodeJS.Timeout | undefined
  #askedAt = Number.NEGATIVE_INFINITY
  /** Counts what became known. */
  #version = 0

  constructor(runtime: Runtime, kind: OfferKind<Plan, Offered>) {
    this.#runtime = runtime
    this.#kind = kind
  }

  /** What each back-end offers; undefined while one of them was not asked yet. */
  knownFor(generation: Generation): readonly Offered[] | undefined {
    const backends: Offered[] = []
    for (const plan of this.#kind.plansOf(generation)) {
      const known = this.#known.get(this.#kind.placeOf(plan))
      if (known === undefined) return undefined
      if (known !== asked) backends.push(known)
    }
    return backends
  }

  /** What `make` makes of a generation, kept for it until something else is known. */
  protected kept<Value>(
    make: (generation: Generation) => Value,
  ): (generation: Generation) => Value {
    const made = new WeakMap<Generation, { readonly version: number; readonly value: Value }>()
    return (generation) => {
      const before = made.get(generation)
      if (before?.version === this.#version) return before.value
      const value = make(generation)
      made.set(generation, { version: this.#version, value })
      return value
    }
  }

  /** What is known of one place; undefined where nothing is. */
  protected knownAt(place: string): Offered | undefined {
    const known = this.#known.get(place)
    return known === asked ? undefined : known
  }

  learn(plan: Plan, offered: Offered): void {
    const place = this.#kind.placeOf(plan)
    const offers = this.#kind.describe(offered)
    const before = this.#known.get(place)
    this.#set(place, offered)
    const isNew = before === undefined || before === asked
    if (!isNew && this.#kind.describe(before).join() === offers.join()) return
    const protocol = this.#kind.protocolOf(plan)
    this.#runtime.log('backend.offers', { backend: plan.backend, protocol, offers })
  }

  /** Asks all back-ends now. */
  async ask(): Promise<void> {
    this.#askedAt = performance.now()
    await Promise.all(
      this.#kind.plansOf(this.#runtime.current).map(async (plan) => {
        const offered = await this.#kind.ask(plan)
        const place = this.#kind.placeOf(plan)
        if (offered !== undefined) this.learn(plan, offered)
        else if (!this.#known.has(place)) this.#set(place, asked)
      }),
    )
  }

  /** A back-end does not hold to what it offered, or so it seems. */
  doubt(): void {
    if (performance.now() - this.#askedAt > doubtEveryMs) void this.ask()
  }

  /** Asks now and again, for as long as the process lives. */
  watch(): void {
    clearTimeout(this.#timer)
    void this.ask()
    const waitMs = askEveryMs * (1 - spread * Math.random())
    this.#timer = setTimeout(() => this.watch(), waitMs).unref()
  }

  #set(place: string, known: Offered | typeof asked): void {
    this.#known.set(place, known)
    this.#version++
  }
}
