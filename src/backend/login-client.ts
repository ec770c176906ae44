/**
 * Logs in to a back-end: dials it and performs what the protocol's machine asks for, within the time
 * given. What it reports is a kind of failure, never words for the client. A connection that is not
 * handed over is destroyed.
 */
import { assertNever } from '../base/never.ts'
import type { Endpoint } from '../config/config.ts'
import type { Connection } from '../net/connection.ts'
import { deadlines, type Timed } from '../net/deadline.ts'
import {
  type Cancel,
  type DialResult,
  dial,
  type Inlet,
  type Preface,
  type Trust,
  upgrade,
} from '../net/dial.ts'
import { quietBuffer } from '../net/read-buffer.ts'
import type { GateTurn, LoginGate } from './login-gate.ts'
import type { BackEndAction, BackEndOutcome, LoginBackEnd } from '../protocol/login.ts'

export interface LoginPlan {
  readonly machine: LoginBackEnd
  readonly endpoint: Endpoint
  /** Needed unless the endpoint's TLS mode is `none`. */
  readonly trust: Trust | undefined
  /** For a connection, and again for TLS where the protocol upgrades to it. */
  readonly connectTimeoutMs: number
  /** For everything from dialling to the answer to the login, and again after each challenge. */
  readonly loginTimeoutMs: number
  /** Sent before anything else. */
  readonly preface: Preface | undefined
  /** Where only so many may be under way at the back-end. */
  readonly gate?: LoginGate | undefined
}

type Failed = Extract<BackEndOutcome, { kind: 'failed' }>

/** Who waits for the login. Told once, unless it gives up before. */
export interface LoginWaiter {
  /** After `accepted` the connection is the waiter's: `handOver` says where its bytes go. */
  backendAnswered(outcome: BackEndOutcome): void
  /** It says something before that the client is to answer: `respond`. */
  backendChallenged(message: string): void
}

export class LoginClient implements Inlet, Timed {
  due: Timed['due']
  #machine: LoginBackEnd | undefined
  #plan: LoginPlan | undefined
  #waiter: LoginWaiter | undefined
  #socket: Connection | undefined
  #cancel: Cancel | undefined
  #next: Inlet | undefined
  #turn: GateTurn | undefined

  constructor(plan: LoginPlan, waiter: LoginWaiter) {
    this.#machine = plan.machine
    this.#plan = plan
    this.#waiter = waiter
    deadlines.arm(this, plan.loginTimeoutMs)
    const hasTurn = (): void => this.#dial(plan)
    const hasNone = (): void => this.#fail('crowded', 'as many logins as may be are under way')
    this.#turn = plan.gate?.take({ hasTurn, hasNone })
    if (this.#turn === undefined || this.#turn.hasPlace) this.#dial(plan)
  }

  /** The connection, once there is one. */
  get socket(): Connection | undefined {
    return this.#socket
  }

  /** The connection of a login that was accepted. */
  get joinable(): Connection {
    if (this.#socket === undefined) throw new Error('an accepted login without its connection')
    return this.#socket
  }

  /** Gives every further byte of an accepted connection to `next`. */
  handOver(next: Inlet): void {
    this.#next = next
  }

  /** Gives up without an answer. */
  abort(): void {
    if (this.#waiter === undefined) return
    this.#leave()
    this.#socket?.destroy()
  }

  #dial({ endpoint, trust, connectTimeoutMs, preface }: LoginPlan): void {
    const options = { endpoint, trust, timeoutMs: connectTimeoutMs, inlet: this, preface }
    this.#cancel = dial(options, (result) => this.#connected(result))
  }

  readBuffer(): Buffer {
    return this.#next === undefined ? quietBuffer : this.#next.readBuffer()
  }

  take(length: number, buffer: Buffer): boolean {
    if (this.#next !== undefined) return this.#next.take(length, buffer)
    if (this.#machine !== undefined) this.#perform(this.#machine.push(buffer.subarray(0, length)))
    return true
  }

  /** What the client answered to a challenge. */
  respond(message: string): void {
    if (this.#machine === undefined || this.#plan === undefined) return
    deadlines.arm(this, this.#plan.loginTimeoutMs)
    this.#perform(this.#machine.respond(message))
  }

  timedOut(): void {
    this.#fail('timeout', 'no answer to the login in time')
  }

  #connected(result: DialResult): void {
    this.#cancel = undefined
    if (!result.ok) {
      this.#finish({ kind: 'failed', ...result.failure })
      return
    }
    this.#listen(result.socket)
  }

  #listen(socket: Connection): void {
    this.#socket = socket
    socket.on('end', this.#onClose).on('error', this.#onClose).on('close', this.#onClose)
  }

  #stopListening(): void {
    const onClose = this.#onClose
    this.#socket?.off('end', onClose).off('error', onClose).off('close', onClose)
  }

  readonly #onClose = (): void => this.#fail('closed', 'connection closed by the back-end')

  #perform(actions: readonly BackEndAction[]): void {
    for (const action of actions) {
      if (this.#waiter === undefined) return
      switch (action.do) {
        case 'send':
          this.#socket?.write(action.text, 'latin1')
          break
        case 'start-tls':
          this.#startTls()
          break
        case 'challenge':
          // Whom we wait for now is the client.
          deadlines.disarm(this)
          this.#turn?.leave()
          this.#turn = undefined
          this.#waiter.backendChallenged(action.message)
          break
        case 'finish':
          this.#finish(action.outcome)
          break
        default:
          assertNever(action)
      }
    }
  }

  #startTls(): void {
    const socket = this.#socket
    const trust = this.#plan?.trust
    if (socket === undefined || trust === undefined) throw new Error('STARTTLS without trust')
    this.#stopListening()
    const timeoutMs = this.#plan?.connectTimeoutMs ?? 0
    this.#cancel = upgrade({ socket, trust, timeoutMs, inlet: this }, (result) => {
      this.#connected(result)
      if (result.ok && this.#machine !== undefined) this.#perform(this.#machine.tlsStarted())
    })
  }

  #fail(reason: Failed['reason'], detail: string): void {
    if (this.#machine === undefined) return
    this.#finish({ kind: 'failed', step: this.#stepNow(), reason, detail })
  }

  /** Until there is a socket, it is the connection that has not come. */
  #stepNow(): Failed['step'] {
    return this.#socket === undefined ? 'connect' : (this.#machine?.step ?? 'login')
  }

  #finish(outcome: BackEndOutcome): void {
    const waiter = this.#waiter
    if (waiter === undefined) return
    this.#leave()
    if (outcome.kind !== 'accepted') this.#socket?.destroy()
    waiter.backendAnswered(outcome)
  }

  /** Drops all that only the login needed: the object lives as long as the session. */
  #leave(): void {
    deadlines.disarm(this)
    this.#turn?.leave()
    this.#turn = undefined
    this.#cancel?.()
    this.#stopListening()
    this.#waiter = undefined
    this.#machine = undefined
    this.#plan = undefined
    this.#cancel = undefined
  }
}
