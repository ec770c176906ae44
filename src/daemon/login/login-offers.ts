/**
 * How clients of a proxy may log in: by what every back-end of the service can carry on, narrowed by
 * the config.
 */
import { type ProbePlan, probeBackend } from '../../backend/probe.ts'
import type { BackendReason, BackendStep } from '../../base/log.ts'
import type { Mechanism } from '../../config/config.ts'
import { commonMechanisms, leastMechanisms } from '../../protocol/sasl/mechanism.ts'
import { BackendOffers, type OfferKind } from '../backend-offers.ts'
import { planOf, portsOf } from '../check-backends.ts'
import type { LoginProtocol } from './login-protocol.ts'
import { PerRuntime } from '../per-runtime.ts'
import type { Generation, Runtime } from '../runtime.ts'

type Service = LoginProtocol['service']

interface LoginOffer {
  /** Names of SASL mechanisms, in capitals. */
  readonly mechanisms: ReadonlySet<string>
  /** All that it offers before login, as the probe tells it. */
  readonly capabilities: readonly string[]
}

/** How to ask each back-end of a service. */
export function loginPlans(service: Service, { config, backendTls }: Generation): ProbePlan[] {
  return portsOf(config)
    .filter(({ protocol }) => protocol === service)
    .map((port) => planOf(config, backendTls, port))
}

type Port = Pick<ProbePlan, 'backend' | 'endpoint'>

/** How a back-end fares that does not take commands in a row. */
const unanswered: ReadonlySet<BackendReason> = new Set(['timeout', 'closed', 'bad_reply', 'desync'])

function placeOf({ backend, endpoint }: Port): string {
  const { host, port, tls } = endpoint
  return `${backend} ${host} ${port} ${tls}`
}

function loginsBy(service: Service): OfferKind<ProbePlan, LoginOffer> {
  return {
    plansOf: (generation) => loginPlans(service, generation),
    placeOf,
    protocolOf: () => service,
    ask: async (plan) => {
      const { ok, mechanisms, capabilities = [] } = await probeBackend(plan)
      return ok ? { mechanisms: new Set(mechanisms), capabilities } : undefined
    },
    // Of the others a client learns the rest after its login, from the back-end itself.
    describe: ({ mechanisms, capabilities }) =>
      service === 'sieve' || service === 'submission' ? capabilities : [...mechanisms],
  }
}

class LoginOffers extends BackendOffers<ProbePlan, LoginOffer> {
  readonly #service: Service
  /** Places that are asked one thing at a time. */
  readonly #doubted = new Set<string>()

  constructor(runtime: Runtime, service: Service) {
    super(runtime, loginsBy(service))
    this.#service = service
  }

  /** For clients that come now; `isCertified`: that have shown a certificate which names somebody. */
  mechanismsFor(generation: Generation, isCertified = false): readonly Mechanism[] {
    const mechanisms = this.#withoutCertificate(generation)
    return isCertified && this.#takesCertificates(generation)
      ? [...mechanisms, 'EXTERNAL']
      : mechanisms
  }

  /** Whether a back-end has offered to take commands in a row. */
  isPipelining(port: Port): boolean {
    const place = placeOf(port)
    const offered = this.knownAt(place)?.capabilities.includes('PIPELINING')
    return offered === true && !this.#doubted.has(place)
  }

  /** A login there has failed: what it was seen to offer may not hold. */
  failed(port: Port, step: BackendStep, reason: BackendReason): void {
    if (reason === 'no_mechanism') this.doubt()
    if (step === 'login' && unanswered.has(reason)) this.#doubted.add(placeOf(port))
  }

  /** Wherever a user may be, somebody must be able to log in there for who shows a certificate. */
  #takesCertificates({ certified, config }: Generation): boolean {
    if (certified === undefined) return false
    if (config.mechanisms[this.#service]?.includes('EXTERNAL') === false) return false
    const backends = [...config.backends.values()]
    return backends.every(
      ({ name, endpoints }) => endpoints[this.#service] === undefined || certified.has(name),
    )
  }

  readonly #withoutCertificate = this.kept((generation): readonly Mechanism[] => {
    const known = this.knownFor(generation)
    const common =
      known === undefined
        ? leastMechanisms
        : commonMechanisms(known.map(({ mechanisms }) => mechanisms))
    // An exchange proves something to the back-end alone.
    const judged = this.#needsPassword(generation) ? leastMechanisms : common
    const allowed = generation.config.mechanisms[this.#service] ?? common
    return judged.filter((mechanism) => allowed.includes(mechanism))
  })

  /** What follows from what each back-end offers before login: from none while not all were asked. */
  following<Value>(
    make: (backends: readonly (readonly string[])[]) => Value,
  ): (generation: Generation) => Value {
    return this.kept((generation) =>
      make((this.knownFor(generation) ?? []).map(({ capabilities }) => capabilities)),
    )
  }

  #needsPassword({ verifier, config }: Generation): boolean {
    if (verifier !== undefined) return true
    return this.#service === 'submission' && config.smarthostLogin !== undefined
  }
}

const offers = new PerRuntime(
  (runtime: Runtime, service: Service) => new LoginOffers(runtime, service),
)

export function loginOffersOf(runtime: Runtime, service: Service): LoginOffers {
  return offers.of(runtime, service)
}

/** What follows from what each back-end of a service offers before login, for clients that come now. */
export function offersFollowing<Value>(
  service: Service,
  make: (backends: readonly (readonly string[])[]) => Value,
): (runtime: Runtime) => Value {
  const following = new PerRuntime((runtime: Runtime, of: Service) =>
    loginOffersOf(runtime, of).following(make),
  )
  return (runtime) => following.of(runtime, service)(runtime.current)
}
