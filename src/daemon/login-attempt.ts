/**
 * One login of one client: finds the route, logs in to the back-end, and tells the outcome. Whatever
 * is wrong with name or password is told after the same brake, counted from when the login was
 * taken, so that time does not tell who exists.
 */
import { LoginClient, type LoginWaiter } from '../backend/login-client.ts'
import { prefaceFor } from '../backend/passed-client.ts'
import type { EventFields } from '../base/log.ts'
import type { LoginService, TlsMode } from '../config/config.ts'
import type {
  BackEndOutcome,
  Credentials,
  LoginBackEnd,
  LoginFrontEnd,
  LoginOutcome,
} from '../protocol/login.ts'
import type { FrontEndOptions } from '../protocol/login-machine.ts'
import { brakeMs } from './brake.ts'
import { attributesOf, type ClientAddress } from './client-address.ts'
import { type LoginRoute, routeLogin } from './login-route.ts'
import type { Generation, Runtime } from './runtime.ts'

/** What a proxy's protocol is to its driver. */
export interface LoginProtocol {
  readonly service: LoginService
  createFrontEnd(options: FrontEndOptions): LoginFrontEnd
  createBackEnd(tls: TlsMode, credentials: Credentials): LoginBackEnd
}

/** The fields of an event that say whose it is. */
export type PeerFields = Pick<EventFields['refuse'], 'service' | 'session' | 'peer'>

/** A login that a back-end took: what the join needs. */
export interface Accepted {
  readonly user: string
  readonly backend: string
  readonly client: LoginClient
  /** What the back-end sent after its answer. */
  readonly surplus: Buffer
}

export interface LoginAttemptOptions {
  readonly runtime: Runtime
  readonly protocol: LoginProtocol
  readonly credentials: Credentials
  /** Which failure of this session it would be, from 1. */
  readonly attempt: number
  readonly fields: PeerFields
  readonly client: ClientAddress
  /** Told once, later than the constructor returns, unless the attempt is aborted. */
  readonly onEnd: {
    loginEnded(outcome: LoginOutcome, accepted: Accepted | undefined): void
  }
}

type Route = Extract<LoginRoute, { kind: 'route' }>

/** The label of the counter `login`. */
const results = {
  accepted: 'ok',
  refused: 'failed',
  denied: 'failed',
  unavailable: 'unavailable',
} as const satisfies Record<LoginOutcome['kind'], string>

export class LoginAttempt implements LoginWaiter {
  readonly #options: LoginAttemptOptions
  readonly #generation: Generation
  readonly #startedAt = performance.now()
  #route: Route | undefined
  #client: LoginClient | undefined
  #timer: NodeJS.Timeout | undefined
  #isAborted = false

  constructor(options: LoginAttemptOptions) {
    const { runtime, protocol, credentials, fields } = options
    this.#options = options
    this.#generation = runtime.current
    if (runtime.draining) {
      this.#answer({ kind: 'unavailable' })
      return
    }
    const route = routeLogin(this.#generation, protocol.service, credentials.login)
    if (route.kind === 'refused') this.#answerAfterBrake()
    else if (route.kind === 'unavailable') {
      if (route.fault !== undefined) {
        runtime.log('internal', { reason: 'lookup', detail: `${fields.session}: ${route.fault}` })
      }
      this.#answer({ kind: 'unavailable' })
    } else this.#connect(route)
  }

  abort(): void {
    this.#isAborted = true
    clearTimeout(this.#timer)
    this.#client?.abort()
  }

  backendAnswered(outcome: BackEndOutcome): void {
    const route = this.#route
    if (route === undefined || this.#client === undefined) return
    switch (outcome.kind) {
      case 'refused':
        this.#answerAfterBrake()
        break
      case 'denied':
        this.#answer(outcome)
        break
      case 'failed': {
        const { step, reason, detail } = outcome
        const { runtime, fields } = this.#options
        runtime.log('backend', { ...fields, backend: route.backend, step, reason, detail })
        this.#answer({ kind: 'unavailable' })
        break
      }
      case 'accepted': {
        const { response, surplus } = outcome
        const { user, backend } = route
        const accepted = { user, backend, client: this.#client, surplus }
        this.#tell({ kind: 'accepted', response }, accepted)
        break
      }
    }
  }

  #connect(route: Route): void {
    const { protocol, credentials, client } = this.#options
    const { connectTimeoutMs, loginTimeoutMs } = this.#generation.config.limits
    const { endpoint, trust, login, clientAddress } = route
    const machine = protocol.createBackEnd(endpoint.tls, { ...credentials, login })
    this.#route = route
    const preface = prefaceFor({ clientAddress, client: attributesOf(client) })
    const plan = { machine, endpoint, trust, connectTimeoutMs, loginTimeoutMs, preface }
    this.#client = new LoginClient(plan, this)
  }

  #answerAfterBrake(): void {
    const floorMs = brakeMs(this.#generation, this.#options.attempt)
    const passedMs = performance.now() - this.#startedAt
    this.#answer({ kind: 'refused' }, Math.max(0, floorMs - passedMs))
  }

  #tell(outcome: LoginOutcome, accepted: Accepted | undefined): void {
    const { runtime, fields, onEnd } = this.#options
    const result = results[outcome.kind]
    runtime.counters.count('login', `${fields.service},${result}`)
    // Who has a route has been asked for; a back-end that answers, whatever it says, is up.
    if (this.#route !== undefined) {
      const { backend } = this.#route
      runtime.counters.count('backend_login', `${backend},${fields.service},${result}`)
    }
    onEnd.loginEnded(outcome, accepted)
  }

  /** Never at once: a client that pipelines logins must not make one call within another. */
  #answer(outcome: LoginOutcome, waitMs = 0): void {
    this.#timer = setTimeout(() => {
      if (!this.#isAborted) this.#tell(outcome, undefined)
    }, waitMs)
  }
}
