/**
 * One login of one client: finds the route, logs in to the back-end, and tells the outcome. Whatever
 * is wrong with name or password is told after the same brake, counted from when the login was
 * taken, so that time does not tell who exists.
 *
 * An exchange goes on through it. Where nobody is there to carry it on, or a back-end refuses before
 * it has said anything, it is led to the same end by a decoy. A token has failed when the client hears
 * why: so that word waits for the brake, and the end does not wait again.
 */
import { LoginClient, type LoginWaiter } from '../backend/login-client.ts'
import { introducedFor, prefaceFor } from '../backend/passed-client.ts'
import { type BackendReason, type BackendStep, type EventFields, printable } from '../base/log.ts'
import type { SessionEnd } from '../base/log.ts'
import type { LoginService, TlsMode } from '../config/config.ts'
import type {
  BackEndOutcome,
  Introduction,
  LoginBackEnd,
  LoginFrontEnd,
  LoginOutcome,
  LoginProof,
} from '../protocol/login.ts'
import type { Inlet } from '../net/dial.ts'
import type { Pump, PumpEnd, PumpOptions } from '../net/pump.ts'
import type { FrontEndOptions } from '../protocol/login-machine.ts'
import type { ClientAttributes } from '../protocol/smtp/client-attributes.ts'
import { type Exchange, ExchangeWatch, isBearer } from '../protocol/sasl/exchange.ts'
import { brakeMs } from './brake.ts'
import { type LoginDecoys, loginDecoysOf } from './login-decoys.ts'
import { loginOffersOf } from './login-offers.ts'
import { isSameLogin, type LoginRoute, routeLogin } from './login-route.ts'
import type { Generation, Runtime } from './runtime.ts'

/** What a proxy's protocol is to its driver. */
export interface LoginProtocol {
  readonly service: LoginService
  createFrontEnd(options: FrontEndOptions, runtime: Runtime): LoginFrontEnd
  createBackEnd(tls: TlsMode, proof: LoginProof, introduction: Introduction): LoginBackEnd
  /** How client and back-end go on with each other; undefined where bytes alone pass. */
  join?(options: JoinOptions, joined: Joined): Join | undefined
}

/** What goes between client and back-end from the login on. */
export type Join = Pick<Pump, 'bytesIn' | 'bytesOut' | 'start' | 'shutdown' | 'kill' | keyof Inlet>

export type JoinEnd = PumpEnd | SessionEnd

export interface JoinOptions extends PumpOptions {
  readonly onEnd: { pumpEnded(end: JoinEnd): void }
}

/** Whose session it is. */
export interface Joined {
  readonly runtime: Runtime
  readonly fields: PeerFields
  readonly user: string
  readonly backend: string
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
  readonly proof: LoginProof
  /** Which failure of this session it would be, from 1. */
  readonly attempt: number
  readonly fields: PeerFields
  readonly client: ClientAttributes
  /** Told later than the constructor returns, unless the attempt is aborted; of its end once. */
  readonly onEnd: {
    /** In an exchange: the client is to answer this, by `respond`. */
    loginChallenged(message: string): void
    loginEnded(outcome: LoginOutcome, accepted: Accepted | undefined): void
  }
}

type Route = Extract<LoginRoute, { kind: 'route' }>

/** An exchange under way. */
interface Carried {
  readonly exchange: Exchange
  readonly watch: ExchangeWatch
  readonly decoys: LoginDecoys
  isDecoy: boolean
}

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
  readonly #carried: Carried | undefined
  /** When the client last said something. */
  #startedAt = performance.now()
  #route: Route | undefined
  #client: LoginClient | undefined
  #timer: NodeJS.Timeout | undefined
  #isAborted = false

  constructor(options: LoginAttemptOptions) {
    const { runtime, protocol, proof, fields } = options
    this.#options = options
    this.#generation = runtime.current
    this.#carried = 'mechanism' in proof ? carry(proof, runtime) : undefined
    const isCircling = (options.client.ttl ?? 1) < 1
    if (isCircling) runtime.log('refuse', { ...fields, reason: 'loop' })
    if (isCircling || runtime.draining) {
      this.#answer({ kind: 'unavailable' })
      return
    }
    const route = routeLogin(this.#generation, protocol.service, proof.login)
    if (route.kind === 'refused') this.#refuse()
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

  /** What the client answers to a challenge. */
  respond(message: string): void {
    const carried = this.#carried
    if (carried === undefined) throw new Error('no exchange is under way')
    this.#startedAt = performance.now()
    const isFitting = carried.watch.response(message)
    if (isFitting && !carried.isDecoy) this.#client?.respond(message)
    else {
      this.#client?.abort()
      this.#refuse()
    }
  }

  backendChallenged(message: string): void {
    const [route, carried] = [this.#route, this.#carried]
    if (route === undefined || carried === undefined) return
    const { exchange, watch, decoys } = carried
    const isFirst = watch.isFresh
    const verdict = watch.challenge(message)
    if (verdict === 'pass') {
      const tookMs = performance.now() - this.#startedAt
      if (isBearer(exchange.mechanism)) decoys.learnError(route.backend, exchange, message)
      else if (isFirst && watch.serverFirst !== undefined) {
        decoys.learnServerFirst(route.backend, exchange, watch.serverFirst, tookMs)
      }
      this.#challenge(message, 0)
      return
    }
    this.#client?.abort()
    if (verdict === 'refused') this.#refuse()
    else this.#fail(route, 'login', 'bad_reply', `not a message of ${exchange.mechanism}`)
  }

  backendAnswered(outcome: BackEndOutcome): void {
    const route = this.#route
    if (route === undefined || this.#client === undefined) return
    switch (outcome.kind) {
      case 'refused':
        this.#refuse()
        break
      case 'denied':
        this.#answer(outcome)
        break
      case 'failed':
        this.#fail(route, outcome.step, outcome.reason, outcome.detail)
        break
      case 'accepted': {
        if (this.#carried?.watch.mayAccept === false) {
          this.#client.socket?.destroy()
          this.#fail(route, 'login', 'desync', 'took a login before the exchange was over')
          return
        }
        const { response, surplus } = outcome
        const { user, backend } = route
        const accepted = { user, backend, client: this.#client, surplus }
        this.#tell({ kind: 'accepted', response }, accepted)
        break
      }
    }
  }

  #connect(route: Route): void {
    const { protocol, proof, client } = this.#options
    const { hostname, limits } = this.#generation.config
    const { connectTimeoutMs, loginTimeoutMs } = limits
    const { endpoint, trust, login } = route
    if (!this.#isSendable(route)) {
      this.#refuse()
      return
    }
    this.#route = route
    const passed = { clientAddress: route.clientAddress, client }
    const introduction = { hostname, client: introducedFor(protocol.service, passed) }
    const machine = protocol.createBackEnd(endpoint.tls, { ...proof, login }, introduction)
    const preface = prefaceFor(passed)
    const plan = { machine, endpoint, trust, connectTimeoutMs, loginTimeoutMs, preface }
    this.#client = new LoginClient(plan, this)
  }

  /** A proof of SCRAM holds for the name that the client sent, which cannot be changed on the way. */
  #isSendable({ backend, login }: Route): boolean {
    const exchange = this.#carried?.exchange
    if (exchange === undefined || isBearer(exchange.mechanism)) return true
    if (isSameLogin(exchange.login, login, this.#generation.config.naming)) return true
    const { runtime, fields } = this.#options
    const detail = printable(`${exchange.mechanism} needs the user's name there: ${login}`)
    runtime.log('backend', { ...fields, backend, step: 'login', reason: 'no_mechanism', detail })
    return false
  }

  /** Name or password are wrong; all that can be wrong with them is told alike. */
  #refuse(): void {
    const carried = this.#carried
    if (carried?.watch.isFresh === true) this.#deceive(carried)
    else if (carried !== undefined && isBearer(carried.exchange.mechanism)) {
      this.#answer({ kind: 'refused' })
    } else this.#answer({ kind: 'refused' }, this.#brakeLeftMs())
  }

  #deceive(carried: Carried): void {
    const { exchange, watch, decoys } = carried
    const { config } = this.#generation
    const { message, waitMs } = decoys.decoyFor(exchange, config, this.#route?.backend)
    carried.isDecoy = true
    watch.challenge(message)
    this.#challenge(message, waitMs)
  }

  #challenge(message: string, waitMs: number): void {
    const isError = this.#carried !== undefined && isBearer(this.#carried.exchange.mechanism)
    clearTimeout(this.#timer)
    this.#timer = setTimeout(
      () => {
        if (!this.#isAborted) this.#options.onEnd.loginChallenged(message)
      },
      isError ? this.#brakeLeftMs() : waitMs,
    )
  }

  #fail(route: Route, step: BackendStep, reason: BackendReason, detail: string): void {
    const { runtime, protocol, fields } = this.#options
    runtime.log('backend', { ...fields, backend: route.backend, step, reason, detail })
    if (reason === 'no_mechanism') loginOffersOf(runtime, protocol.service).doubt()
    this.#answer({ kind: 'unavailable' })
  }

  #brakeLeftMs(): number {
    const floorMs = brakeMs(this.#generation, this.#options.attempt)
    return Math.max(0, floorMs - (performance.now() - this.#startedAt))
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
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      if (!this.#isAborted) this.#tell(outcome, undefined)
    }, waitMs)
  }
}

function carry(exchange: Exchange, runtime: Runtime): Carried {
  const watch = new ExchangeWatch(exchange)
  return { exchange, watch, decoys: loginDecoysOf(runtime), isDecoy: false }
}
