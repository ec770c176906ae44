/**
 * One client of a proxy, from accept to end: performs what the protocol's front-end machine asks
 * for, whatever the protocol. Until login every byte goes through the machine; after it, through a
 * pump that knows none.
 *
 * While a login is under way the client's input is held: what arrives stays in its stream, and goes
 * to the machine or to the back-end afterwards, each byte once.
 */
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { ListenerConfig, LoginService, Mechanism } from '../../config/config.ts'
import { formatHost } from '../../mail/network.ts'
import type { Connection } from '../../net/connection.ts'
import type { FarewellReason } from '../../protocol/joined-watch.ts'
import {
  type FrontEndAction,
  isAwaited,
  type LoginFrontEnd,
  type LoginOutcome,
} from '../../protocol/login.ts'
import { brakeMs } from '../brake.ts'
import { type ClientProof, proofFrom } from '../certified-login.ts'
import { attemptingAs, type ClientAddress } from '../client-address.ts'
import { ClientLine, type LineOwner } from '../client-line.ts'
import { ClientPatience, type PatienceOwner } from './client-patience.ts'
import type { Freeze } from '../freezes.ts'
import { LoginAttempt } from './login-attempt.ts'
import { greetingFor, secureLine } from './login-greeting.ts'
import type { Accepted, JoinedSession, LoginProtocol } from './login-protocol.ts'
import { LoginReport } from './login-report.ts'
import type { Runtime, Session } from '../runtime.ts'

export class LoginSession implements Session, LineOwner, PatienceOwner {
  readonly service: LoginService
  readonly id: string
  readonly peer: string
  readonly startedAt = performance.now()
  user: string | undefined
  backend: string | undefined
  login: string | undefined
  readonly #address: ClientAddress
  readonly #report: LoginReport
  readonly #protocol: LoginProtocol
  readonly #runtime: Runtime
  readonly #leave: () => void
  readonly #patience: ClientPatience
  /** Line and machine live until the join, or the end. */
  #line: ClientLine | undefined
  #machine: LoginFrontEnd | undefined
  #attempt: LoginAttempt | undefined
  #brake: NodeJS.Timeout | undefined
  #join: JoinedSession | undefined
  /** Whatever counts the bytes now. */
  #meter: ClientLine | JoinedSession | undefined
  /** Why it ends, once it does. */
  #end: SessionEnd | undefined
  #isOver = false

  constructor(address: ClientAddress, runtime: Runtime, protocol: LoginProtocol) {
    this.id = runtime.nextSessionId()
    this.#address = address
    this.peer = formatHost(address.client)
    this.service = protocol.service
    const fields = { service: this.service, session: this.id, peer: this.peer }
    this.#report = new LoginReport(runtime, fields)
    this.#protocol = protocol
    this.#runtime = runtime
    this.#leave = runtime.enter(this)
    this.#patience = new ClientPatience(this, runtime)
  }

  get state(): Session['state'] {
    return this.#join ? 'joined' : this.user === undefined ? 'before_login' : 'held'
  }

  get bytesIn(): number {
    return this.#meter?.bytesIn ?? 0
  }

  get bytesOut(): number {
    return this.#meter?.bytesOut ?? 0
  }

  begin(socket: Connection, listener: ListenerConfig): void {
    const line = new ClientLine(socket, this, listener.asksCertificate)
    this.#line = line
    this.#meter = line
    this.#patience.allowLogin()
    if (listener.tls === 'implicit') this.#startTls(line, () => this.#greet(line, listener))
    else {
      line.listen()
      this.#greet(line, listener)
    }
  }

  shutdown(why: FarewellReason = 'shutdown'): void {
    if (this.#join !== undefined) this.#join.end(why)
    else if (this.#machine !== undefined) this.#interrupt(this.#machine.shutDown())
    else if (this.#end === undefined) this.kill()
  }

  kill(): void {
    this.#end ??= 'shutdown'
    this.#join?.kill()
    this.#line?.destroy()
  }

  concerns(freeze: Freeze): boolean {
    if (this.#join === undefined) return this.#attempt?.concerns(freeze) === true
    const { user = '', backend = '', login } = this
    if (login === undefined || this.#join.isCut) return false
    return freeze.coversLogin(user, { backend, login })
  }

  yieldTo(freeze: Freeze, isLast: boolean): void {
    if (isLast) this.kill()
    else if (this.#join === undefined) this.#attempt?.yieldTo(freeze)
    else this.shutdown('kicked')
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

  loginHeld(user: string | undefined): void {
    this.user = user
    if (user === undefined) this.#patience.allowLogin()
    else this.#patience.rest()
  }

  loginEnded(outcome: LoginOutcome, accepted: Accepted | undefined): void {
    this.#attempt = undefined
    if (this.#machine === undefined) return
    if (accepted === undefined) return this.#goOn(this.#machine.loginAnswered(outcome))
    this.user = accepted.user
    this.backend = accepted.backend
    this.login = accepted.login
    this.#perform(this.#machine.loginAnswered(outcome), accepted)
    if (this.#join === undefined) accepted.client.socket?.destroy()
  }

  joinEnded(end: SessionEnd | 'idle'): void {
    if (end === 'idle') this.#report.refuse('idle_timeout')
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
          this.#startTls(line, (offered) => this.#perform(machine.tlsStarted(offered)))
          break
        case 'log-in':
        case 'exchange':
        case 'claim':
          this.#logIn(line, machine, proofFrom(action, line.certificate, this.#report))
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
          this.#brake = setTimeout(() => this.#goOn(machine.resume()), this.#brakeMs(action))
          break
        case 'refuse':
          this.#report.refuse(action.reason)
          break
        case 'join':
          if (accepted !== undefined) this.#joinBackend(line, machine, accepted)
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

  #logIn(line: ClientLine, machine: LoginFrontEnd, proof: ClientProof): void {
    line.hold()
    const own = { runtime: this.#runtime, protocol: this.#protocol, fields: this.#report.fields }
    const client = attemptingAs(this.#address, machine.introduction)
    const attempt = machine.failedLogins + 1
    this.#attempt = new LoginAttempt({ ...own, proof, attempt, client, onEnd: this })
  }

  #brakeMs({ attempt }: { readonly attempt: number }): number {
    return brakeMs(this.#runtime, this.#address.client.address, attempt)
  }

  /** Performs what was held back, then hears the client again, unless it asked for the next wait. */
  #goOn(actions: readonly FrontEndAction[]): void {
    this.#perform(actions)
    if (!actions.some(isAwaited)) this.#line?.release()
  }

  #joinBackend(line: ClientLine, machine: LoginFrontEnd, accepted: Accepted): void {
    this.#patience.rest()
    this.#line = undefined
    this.#machine = undefined
    const idleTimeoutMs = this.#runtime.current.config.limits.sessionTimeoutMs
    const own = { runtime: this.#runtime, fields: this.#report.fields, onEnd: this }
    const join = this.#protocol.createJoin({ ...own, line, accepted, idleTimeoutMs })
    this.#join = join
    this.#meter = join
    join.start(accepted.surplus, machine.takePending())
  }

  #startTls(line: ClientLine, secured: (offered: readonly Mechanism[]) => void): void {
    const failed = (): void => this.#cutOff('tls_handshake')
    secureLine(this.#protocol, line, this.#report, { secured, failed })
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
  }

  #close(end: SessionEnd): void {
    this.#end ??= end
    this.#abandon()
    this.#machine = undefined
    this.#line?.end(end === 'logout')
    this.#patience.awaitClose()
  }

  #cutOff(reason: RefusalReason): void {
    if (this.#end === undefined) this.#report.refuse(reason)
    this.#line?.destroy()
    this.#over('refused')
  }

  #over(end: SessionEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#abandon()
    this.#line = undefined
    this.#machine = undefined
    this.#patience.rest()
    this.#leave()
    if (this.#address.isCheck && this.user === undefined) return
    this.#report.ended(this, { end: this.#end ?? end, tls: this.#meter?.tls ?? '' })
  }
}
