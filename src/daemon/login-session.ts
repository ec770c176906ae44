/**
 * One client of a proxy, from accept to end: performs what the protocol's front-end machine asks
 * for, whatever the protocol. Until login every byte goes through the machine; after it, through a
 * pump that knows none.
 *
 * While a login is under way the client's input is held: what arrives stays in its stream, and goes
 * to the machine or to the back-end afterwards, each byte once.
 */
import type { Socket } from 'node:net'
import type { RefusalReason, SessionEnd } from '../base/log.ts'
import { assertNever } from '../base/never.ts'
import type { ListenerConfig, LoginService } from '../config/config.ts'
import { formatHost } from '../mail/network.ts'
import { Pump } from '../net/pump.ts'
import { type FrontEndAction, isAwaited } from '../protocol/login.ts'
import type { LoginFrontEnd, LoginOutcome } from '../protocol/login.ts'
import { brakeMs } from './brake.ts'
import { attributesOf, type ClientAddress } from './client-address.ts'
import { ClientLine, type LineOwner } from './client-line.ts'
import { ClientPatience, type PatienceOwner } from './client-patience.ts'
import type { Accepted, Join, JoinEnd, LoginProtocol, PeerFields } from './login-attempt.ts'
import { LoginAttempt } from './login-attempt.ts'
import { greetingFor } from './login-greeting.ts'
import type { Runtime, Session } from './runtime.ts'

type LoginAction = Extract<FrontEndAction, { do: 'log-in' | 'exchange' }>

export class LoginSession implements Session, LineOwner, PatienceOwner {
  readonly service: LoginService
  readonly id: string
  readonly peer: string
  readonly startedAt = performance.now()
  user: string | undefined
  backend: string | undefined
  readonly #address: ClientAddress
  readonly #fields: PeerFields
  readonly #protocol: LoginProtocol
  readonly #runtime: Runtime
  readonly #generation: number
  readonly #leave: () => void
  readonly #patience: ClientPatience
  /** Line and machine live until the join, or the end. */
  #line: ClientLine | undefined
  #machine: LoginFrontEnd | undefined
  #attempt: LoginAttempt | undefined
  #brake: NodeJS.Timeout | undefined
  #pump: Join | undefined
  #tls = ''
  #bytesIn = 0
  #bytesOut = 0
  /** Why it ends, once it does. */
  #end: SessionEnd | undefined
  #isOver = false

  constructor(address: ClientAddress, runtime: Runtime, protocol: LoginProtocol) {
    this.id = runtime.nextSessionId()
    this.#address = address
    this.peer = formatHost(address.client)
    this.service = protocol.service
    this.#fields = { service: this.service, session: this.id, peer: this.peer }
    this.#protocol = protocol
    this.#runtime = runtime
    this.#generation = runtime.current.map.generation
    this.#leave = runtime.enter(this)
    this.#patience = new ClientPatience(this, runtime)
  }

  begin(socket: Socket, listener: ListenerConfig): void {
    const line = new ClientLine(socket, this)
    this.#line = line
    this.#patience.allow(this.#runtime.current.config.limits.preauthTimeoutMs)
    if (listener.tls === 'implicit') this.#startTls(line, () => this.#greet(line, listener))
    else {
      line.listen()
      this.#greet(line, listener)
    }
  }

  shutdown(): void {
    if (this.#pump !== undefined) this.#pump.shutdown()
    else if (this.#machine !== undefined) this.#interrupt(this.#machine.shutDown())
    else if (this.#end === undefined) this.kill()
  }

  kill(): void {
    this.#end ??= 'shutdown'
    this.#pump?.kill()
    this.#line?.destroy()
  }

  outOfPatience(): void {
    if (this.#machine !== undefined) this.#interrupt(this.#machine.timedOut())
    else this.#cutOff('preauth_timeout')
  }

  closedTooLate(): void {
    this.#line?.destroy()
  }

  received(chunk: Buffer): void {
    if (this.#machine !== undefined) this.#perform(this.#machine.push(chunk))
  }

  /** All has been answered, or the client left while we were waiting for a back-end. */
  ended(): void {
    this.#close('client_closed')
  }

  failed(): void {
    this.#end ??= 'client_error'
    this.#line?.destroy()
  }

  gone(): void {
    this.#over('client_closed')
  }

  loginChallenged(message: string): void {
    if (this.#machine !== undefined) this.#goOn(this.#machine.challenged(message))
  }

  loginEnded(outcome: LoginOutcome, accepted: Accepted | undefined): void {
    this.#attempt = undefined
    if (this.#machine === undefined) return
    if (accepted === undefined) {
      this.#goOn(this.#machine.loginAnswered(outcome))
      return
    }
    this.user = accepted.user
    this.backend = accepted.backend
    this.#perform(this.#machine.loginAnswered(outcome), accepted)
    if (this.#pump === undefined) accepted.client.socket?.destroy()
  }

  pumpEnded(end: JoinEnd): void {
    this.#bytesIn += this.#pump?.bytesIn ?? 0
    this.#bytesOut += this.#pump?.bytesOut ?? 0
    if (end === 'idle') this.#refuse('idle_timeout')
    this.#over(end === 'idle' ? 'refused' : end)
  }

  #greet(line: ClientLine, listener: ListenerConfig): void {
    const options = greetingFor(this.#protocol, line, listener, this.#runtime)
    this.#machine = this.#protocol.createFrontEnd(options, this.#runtime)
    line.send(this.#machine.greeting)
  }

  #perform(actions: readonly FrontEndAction[], accepted?: Accepted): void {
    let text = ''
    for (const action of actions) {
      const [line, machine] = [this.#line, this.#machine]
      if (line === undefined || machine === undefined) return
      if (action.do === 'send') {
        text += action.text
        continue
      }
      // One write for all that is said at a time.
      if (text !== '') line.send(text)
      text = ''
      switch (action.do) {
        case 'start-tls':
          this.#startTls(line, () => this.#perform(machine.tlsStarted()))
          break
        case 'log-in':
        case 'exchange':
          this.#logIn(line, machine, action)
          break
        case 'respond':
          line.hold()
          this.#attempt?.respond(action.message)
          break
        case 'abandon':
          this.#abandon()
          break
        case 'brake':
          line.hold()
          this.#brake = this.#holdBack(machine, action.attempt)
          break
        case 'refuse':
          this.#refuse(action.reason)
          break
        case 'join':
          if (accepted !== undefined) this.#join(line, machine, accepted)
          break
        case 'close':
          this.#close(action.end)
          break
        default:
          assertNever(action)
      }
    }
    if (text !== '') this.#line?.send(text)
  }

  #logIn(line: ClientLine, machine: LoginFrontEnd, action: LoginAction): void {
    line.hold()
    const proof = action.do === 'exchange' ? action.exchange : action.credentials
    const own = { runtime: this.#runtime, protocol: this.#protocol, fields: this.#fields }
    const client = { ...attributesOf(this.#address), ...machine.introduction }
    const attempt = machine.failedLogins + 1
    this.#attempt = new LoginAttempt({ ...own, proof, attempt, client, onEnd: this })
  }

  #holdBack(machine: LoginFrontEnd, attempt: number): NodeJS.Timeout {
    const resume = (): void => this.#goOn(machine.resume())
    return setTimeout(resume, brakeMs(this.#runtime.current, attempt))
  }

  /** Performs what was held back, then hears the client again, unless it asked for the next wait. */
  #goOn(actions: readonly FrontEndAction[]): void {
    this.#perform(actions)
    if (!actions.some(isAwaited)) this.#line?.release()
  }

  #join(line: ClientLine, machine: LoginFrontEnd, accepted: Accepted): void {
    this.#patience.rest()
    this.#dropLine()
    this.#machine = undefined
    const idleTimeoutMs = this.#runtime.current.config.limits.sessionTimeoutMs
    const backend = accepted.client.joinable
    const options = { client: line.detach(), backend, idleTimeoutMs, onEnd: this }
    const joined = { ...accepted, runtime: this.#runtime, fields: this.#fields }
    this.#pump = this.#protocol.join?.(options, joined) ?? new Pump(options)
    accepted.client.handOver(this.#pump)
    this.#pump.start(accepted.surplus, machine.takePending())
  }

  #startTls(line: ClientLine, secured: () => void): void {
    const { serverTls } = this.#runtime.current
    if (serverTls === undefined) return this.#cutOff('tls_handshake')
    line.startTls(serverTls, (isSecure) => {
      if (isSecure) return secured()
      if (this.#end === undefined) this.#refuse('tls_handshake')
      this.#over('refused')
    })
  }

  /** Something else than the client's input wants an end: what was being done for it is dropped. */
  #interrupt(actions: readonly FrontEndAction[]): void {
    this.#abandon()
    this.#perform(actions)
  }

  #abandon(): void {
    this.#attempt?.abort()
    this.#attempt = undefined
    clearTimeout(this.#brake)
    this.#brake = undefined
  }

  #close(end: SessionEnd): void {
    this.#end ??= end
    this.#abandon()
    this.#machine = undefined
    this.#line?.end()
    this.#patience.awaitClose()
  }

  #cutOff(reason: RefusalReason): void {
    this.#refuse(reason)
    this.#end = 'refused'
    this.#line?.destroy()
    this.#over('refused')
  }

  #refuse(reason: RefusalReason): void {
    this.#runtime.log('refuse', { ...this.#fields, reason })
  }

  #dropLine(): void {
    if (this.#line === undefined) return
    this.#bytesIn += this.#line.bytesIn
    this.#bytesOut += this.#line.bytesOut
    this.#tls = this.#line.tls
    this.#line = undefined
  }

  #over(end: SessionEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#abandon()
    this.#dropLine()
    this.#machine = undefined
    this.#patience.rest()
    this.#leave()
    if (this.#address.isCheck && this.user === undefined) return
    this.#runtime.log('session.end', {
      ...this.#fields,
      end: this.#end ?? end,
      tls: this.#tls,
      duration_ms: Math.round(performance.now() - this.startedAt),
      bytes_in: this.#bytesIn,
      bytes_out: this.#bytesOut,
      ...(this.user === undefined ? {} : { user: this.user }),
      ...(this.backend === undefined ? {} : { backend: this.backend }),
      generation: this.#generation,
    })
  }
}
