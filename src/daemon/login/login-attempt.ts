/**
 * One login of one client: finds the route, logs in to the back-end, and tells the outcome. Whatever
 * is wrong with name or password is told after the same brake, counted from when the login was
 * taken, so that time does not tell who exists.
 *
 * An exchange goes on through it. Where nobody is there to carry it on, or a back-end refuses before
 * it has said anything, it is led to the same end by a decoy. A token has failed when the client hears
 * why: so that word waits for the brake, and the end does not wait again.
 */
import type { LoginClient, LoginWaiter } from '../../backend/login-client.ts'
import { type BackendReason, type BackendStep, printable } from '../../base/log.ts'
import type { BackEndOutcome, LoginOutcome } from '../../protocol/login.ts'
import { isBearer } from '../../protocol/sasl/exchange.ts'
import { someSeconds } from '../backend-herds.ts'
import { LoginBrake } from '../brake.ts'
import { type Carried, carry, isFor } from './carried-exchange.ts'
import { dialLogin } from '../dial-login.ts'
import type { Freeze } from '../freezes.ts'
import { type HoldWaiter, LoginHold, mayHold } from './login-hold.ts'
import { LoginJudge } from './login-judge.ts'
import { loginOffersOf } from './login-offers.ts'
import type { Accepted, LoginAttemptOptions } from './login-protocol.ts'
import { loginResults } from './login-report.ts'
import { type FoundRoute as Route, freezeOn, routeLogin } from './login-route.ts'
import type { Generation } from '../runtime.ts'

export class LoginAttempt implements LoginWaiter, HoldWaiter {
  readonly #options: LoginAttemptOptions
  #generation: Generation
  readonly #carried: Carried | undefined
  readonly #brake: LoginBrake
  readonly #judge: LoginJudge
  #route: Route | undefined
  #client: LoginClient | undefined
  #hold: LoginHold | undefined
  #timer: NodeJS.Timeout | undefined
  #isAborted = false

  constructor(options: LoginAttemptOptions) {
    const { runtime, proof, client, fields } = options
    this.#options = options
    this.#generation = runtime.current
    this.#carried = carry(proof, runtime)
    this.#judge = new LoginJudge(proof, options)
    this.#brake = new LoginBrake(options)
    const isCircling = (client.ttl ?? 1) < 1
    if (isCircling) runtime.log('refuse', { ...fields, reason: 'loop' })
    if (isCircling || runtime.draining) this.#answer({ kind: 'unavailable' })
    else this.#brake.enter((isTried) => this.#enter(isTried))
  }

  abort(): void {
    this.#isAborted = true
    clearTimeout(this.#timer)
    // Who does not wait for the answer may have seen by its delay what it will be.
    const isUnanswered = this.#client !== undefined || this.#judge.isBusy
    if (isUnanswered && !this.#options.runtime.draining) this.#brake.failed()
    this.#brake.end()
    this.#judge.abort()
    this.#leaveBackend()
    this.#hold?.end()
  }

  /** Whether it may yet end with a session at that mailbox. */
  concerns(freeze: Freeze): boolean {
    const route = this.#route
    if (route === undefined || route.isElsewhere || this.#client === undefined) return false
    return freeze.coversLogin(route.user, route)
  }

  /** Leaves the back-end, and waits. An exchange that has gone on cannot be begun anew. */
  yieldTo(freeze: Freeze): void {
    if (!this.concerns(freeze)) return
    this.#leaveBackend()
    this.#route = undefined
    clearTimeout(this.#timer)
    if (this.#carried?.watch.isFresh === false) this.#answer({ kind: 'unavailable' })
    else this.#await(freeze)
  }

  /** Where the user is now may be another back-end. */
  thawed(): void {
    this.#heldNoMore()
    this.#generation = this.#options.runtime.current
    this.#brake.restart()
    this.#begin()
  }

  heldInVain(): void {
    this.#heldNoMore()
    this.#answer({ kind: 'unavailable' })
  }

  /** What the client answers to a challenge. */
  respond(message: string): void {
    const carried = this.#carried
    if (carried === undefined) throw new Error('no exchange is under way')
    this.#brake.restart()
    const isFitting = carried.watch.response(message)
    if (isFitting && !carried.isDecoy) this.#client?.respond(message)
    else {
      this.#leaveBackend()
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
      const tookMs = this.#brake.elapsedMs
      if (isBearer(exchange.mechanism)) decoys.learnError(route.backend, exchange, message)
      else if (isFirst && watch.serverFirst !== undefined) {
        decoys.learnServerFirst(route.backend, exchange, watch.serverFirst, tookMs)
      }
      this.#challenge(message, 0)
      return
    }
    this.#leaveBackend()
    if (verdict === 'refused') this.#refuse()
    else this.#fail(route, 'login', 'bad_reply', `not a message of ${exchange.mechanism}`)
  }

  backendAnswered(outcome: BackEndOutcome): void {
    const [route, client] = [this.#route, this.#client]
    if (route === undefined || client === undefined) return
    this.#client = undefined
    switch (outcome.kind) {
      case 'refused':
        if (this.#judge.hasVerified)
          this.#fail(route, 'login', 'admin_refused', printable(route.login))
        else this.#refuse()
        break
      case 'denied':
        this.#answer(outcome)
        break
      case 'failed':
        this.#fail(route, outcome.step, outcome.reason, outcome.detail)
        break
      case 'accepted': {
        if (this.#carried?.watch.mayAccept === false) {
          client.socket?.destroy()
          this.#fail(route, 'login', 'desync', 'took a login before the exchange was over')
          return
        }
        const { user, backend } = route
        const login = route.isElsewhere ? undefined : route.login
        const accepted = { user, backend, login, client, surplus: outcome.surplus }
        this.#brake.succeeded()
        this.#tell({ kind: 'accepted', response: outcome.response }, accepted)
        break
      }
    }
  }

  #enter(isTried: boolean): void {
    if (isTried) return this.#begin()
    // A client that tries again at once is no quicker.
    this.#answer({ kind: 'unavailable' }, this.#generation.config.limits.authFailureDelayMs)
  }

  #begin(): void {
    const { runtime, protocol, proof } = this.#options
    if (this.#judge.isForeign) return this.#refuse()
    const route = routeLogin(this.#generation, protocol.service, proof.login)
    if (route.kind === 'refused') this.#refuse()
    else if (route.kind === 'unavailable') this.#cannotTell(route.fault)
    else {
      const freeze = freezeOn(route, runtime)
      if (freeze !== undefined) this.#await(freeze)
      else if (this.#judge.isDue(this.#generation, route)) void this.#verify(route)
      else this.#connect(route)
    }
  }

  async #verify(route: Route): Promise<void> {
    const isRight = await this.#judge.judge(this.#generation, route)
    if (this.#isAborted) return
    const { asked } = route
    // Of a mailbox that has been frozen meanwhile, a back-end may say anything.
    const isFrozen = asked !== undefined && freezeOn(route, this.#options.runtime) !== undefined
    if (isRight === true || isFrozen) this.#begin()
    else if (isRight === false) this.#refuse()
    // What a back-end did has been told.
    else this.#cannotTell(asked === undefined ? 'no answer about a password' : undefined)
  }

  #cannotTell(fault: string | undefined): void {
    const { runtime, fields } = this.#options
    const detail = `${fields.session}: ${fault}`
    if (fault !== undefined) runtime.log('internal', { reason: 'lookup', detail })
    this.#answer({ kind: 'unavailable' })
  }

  #leaveBackend(): void {
    this.#client?.abort()
    this.#client = undefined
  }

  #await(freeze: Freeze): void {
    const { runtime, fields, onEnd } = this.#options
    if (mayHold(runtime)) {
      this.#brake.end()
      this.#hold = new LoginHold(freeze, runtime, fields, this)
      onEnd.loginHeld(freeze.user)
    } else this.#answer({ kind: 'unavailable' })
  }

  #heldNoMore(): void {
    this.#hold = undefined
    this.#options.onEnd.loginHeld(undefined)
  }

  #connect(route: Route): void {
    const { runtime, protocol, client } = this.#options
    const generation = this.#generation
    if (!this.#isSendable(route)) return this.#refuse()
    const proof = this.#judge.proofAt(generation, route)
    if (proof === undefined) return this.#cannotTell(`no administrator for ${route.backend}`)
    this.#route = route
    const told = this.#judge.toldAt(generation, route)
    // Most back-ends hear of nobody.
    const isTold = route.clientAddress !== 'none' || told !== undefined
    const described = isTold ? client.describe() : undefined
    const call = { protocol, port: route, proof, client: described, told }
    this.#client = dialLogin({ runtime, generation }, call, this)
  }

  #isSendable({ backend, login }: Route): boolean {
    const carried = this.#carried
    if (carried === undefined || isFor(carried, login, this.#generation.config.naming)) return true
    const { runtime, fields } = this.#options
    const { mechanism } = carried.exchange
    const detail = printable(`${mechanism} needs the user's name there: ${login}`)
    runtime.log('backend', { ...fields, backend, step: 'login', reason: 'no_mechanism', detail })
    return false
  }

  /** Name or password are wrong; all that can be wrong with them is told alike. */
  #refuse(): void {
    const carried = this.#carried
    if (carried?.watch.isFresh === true) this.#deceive(carried)
    else if (carried !== undefined && isBearer(carried.exchange.mechanism)) {
      this.#answer({ kind: 'refused' })
    } else this.#answer({ kind: 'refused' }, this.#brake.failed())
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
      isError ? this.#brake.failed() : waitMs,
    )
  }

  #fail(route: Route, step: BackendStep, reason: BackendReason, detail: string): void {
    const { runtime, protocol, fields } = this.#options
    runtime.log('backend', { ...fields, backend: route.backend, step, reason, detail })
    loginOffersOf(runtime, protocol.service).failed(route, step, reason)
    this.#answer({ kind: 'unavailable', retrySeconds: someSeconds() })
  }

  #tell(outcome: LoginOutcome, accepted: Accepted | undefined): void {
    const { runtime, fields, onEnd } = this.#options
    const result = loginResults[outcome.kind]
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
    this.#brake.end()
    this.#timer = setTimeout(() => {
      if (!this.#isAborted) this.#tell(outcome, undefined)
    }, waitMs)
  }
}
