/**
 * What the front-end machines of the login protocols share: input cut into lines and held while an
 * answer is awaited, the count of failures, the end. A protocol adds what its lines mean.
 *
 * Rules: one thing is awaited at a time, and no byte is looked at meanwhile; what is kept is either
 * parsed later or handed over at the join, never both.
 */
import { limits } from '../base/limit.ts'
import type { Mechanism } from '../config/config.ts'
import type { RefusalReason, SessionEnd } from '../base/log.ts'
import type { FrontEndAction, LoginFrontEnd, LoginOutcome } from './login.ts'
import type { ReadCredentials } from './sasl.ts'
import { leastMechanisms } from './sasl/mechanism.ts'
import type { ClientAttributes } from './smtp/client-attributes.ts'

export interface FrontEndOptions {
  readonly hostname: string
  /** TLS is up from the start. */
  readonly secure: boolean
  /** TLS can be had by asking. */
  readonly offersTls: boolean
  /** Logins may come without TLS. */
  readonly allowsCleartext: boolean
  /** What clients may log in with by SASL; the least where it is not known. */
  readonly mechanisms?: readonly Mechanism[]
}

export abstract class LoginMachine implements LoginFrontEnd {
  abstract readonly greeting: string
  secure: boolean
  failedLogins = 0
  protected readonly options: FrontEndOptions
  /** Mechanisms as they are offered. */
  protected mechanisms: readonly Mechanism[]
  protected actions: FrontEndAction[] = []
  #kept = ''
  #state: 'reading' | 'awaiting' | 'over' = 'reading'
  #badCommands = 0
  #clearLogins = 0
  #failure = ''

  constructor(options: FrontEndOptions) {
    this.options = options
    this.secure = options.secure
    this.mechanisms = options.mechanisms ?? leastMechanisms
  }

  get introduction(): ClientAttributes {
    return {}
  }

  /** May credentials be sent over this connection as it is? */
  protected get takesCredentials(): boolean {
    return this.secure || this.options.allowsCleartext
  }

  protected get canStartTls(): boolean {
    return this.options.offersTls && !this.secure
  }

  /** How long the next line may be with its CRLF, in bytes. */
  protected abstract readonly lineLimitBytes: number
  /** A whole line without CRLF. */
  protected abstract line(text: string): void
  /** Bytes other than lines that are due (a literal); how many, 0 for none. */
  protected abstract readonly octetsDue: number
  protected abstract octets(text: string): void
  /** Forgets a command that was half read. */
  protected abstract forget(): void
  protected abstract accepted(outcome: Extract<LoginOutcome, { kind: 'accepted' }>): string
  protected abstract failed(outcome: Exclude<LoginOutcome, { kind: 'accepted' }>): string
  protected abstract farewell(
    why: 'too-long' | 'too-many' | 'in-clear' | 'failures' | 'timeout' | 'shutdown' | 'injected',
  ): string
  protected abstract badLine(): void
  /** What a client is told unasked when TLS is up. */
  protected greetAgain(): void {}

  push(chunk: Buffer): FrontEndAction[] {
    if (this.#state === 'over') return []
    const text = chunk.toString('latin1')
    this.#kept = this.#kept === '' ? text : this.#kept + text
    return this.#run()
  }

  tlsStarted(mechanisms = this.mechanisms): FrontEndAction[] {
    if (this.#state === 'over') return []
    this.secure = true
    this.mechanisms = mechanisms
    this.#kept = ''
    this.#state = 'reading'
    this.forget()
    this.greetAgain()
    return this.#taken()
  }

  loginAnswered(outcome: LoginOutcome): FrontEndAction[] {
    if (this.#state === 'over') return []
    this.settle(outcome)
    return this.#run()
  }

  challenged(_message: string): FrontEndAction[] {
    throw new Error('no exchange is under way')
  }

  resume(): FrontEndAction[] {
    if (this.#state === 'over') return []
    this.failedLogins++
    this.#goOn(this.#failure)
    return this.#run()
  }

  takePending(): Buffer {
    const pending = Buffer.from(this.#kept, 'latin1')
    this.#kept = ''
    return pending
  }

  timedOut(): FrontEndAction[] {
    return this.#interrupt('timeout', 'preauth_timeout')
  }

  shutDown(): FrontEndAction[] {
    return this.#interrupt('shutdown', undefined)
  }

  protected send(text: string): void {
    this.actions.push({ do: 'send', text })
  }

  /** A login has ended. */
  protected settle(outcome: LoginOutcome): void {
    if (outcome.kind === 'accepted') {
      this.send(this.accepted(outcome))
      this.actions.push({ do: 'join' })
      this.#state = 'over'
      return
    }
    const text = this.failed(outcome)
    if (outcome.kind === 'refused') this.failedLogins++
    this.#goOn(text)
  }

  /** Asks the driver for something, and looks at no byte until it has answered. */
  protected awaitAnswer(action: FrontEndAction): void {
    this.actions.push(action)
    this.#state = 'awaiting'
  }

  /** The driver has answered, and the client is heard again. */
  protected hearAgain(text: string): FrontEndAction[] {
    if (this.#state === 'over') return []
    this.send(text)
    this.#state = 'reading'
    return this.#run()
  }

  /** The client gave a login up that it might have lost: it has failed. */
  protected gaveUp(text: string): void {
    this.failedLogins++
    this.#goOn(text)
  }

  protected refuse(reason: RefusalReason): void {
    this.actions.push({ do: 'refuse', reason })
  }

  protected close(end: SessionEnd): void {
    this.actions.push({ do: 'close', end })
    this.#state = 'over'
    this.#kept = ''
  }

  /** A command that could not be taken: the session goes on, but not for ever. */
  protected bad(text: string): void {
    this.send(text)
    if (++this.#badCommands < limits.badCommands) return
    this.refuse('bad_commands')
    this.send(this.farewell('too-many'))
    this.close('refused')
  }

  /** A login that anybody on the way could read, which is not taken: who tries again is cut off. */
  protected inClear(text: string): void {
    if (this.#clearLogins++ === 0) {
      this.bad(text)
      return
    }
    this.send(text)
    this.refuse('cleartext_login')
    this.send(this.farewell('in-clear'))
    this.close('refused')
  }

  protected startTls(go: string): void {
    if (this.#kept !== '') {
      this.refuse('starttls_pipelined')
      this.send(this.farewell('injected'))
      this.close('refused')
      return
    }
    this.send(go)
    this.awaitAnswer({ do: 'start-tls' })
  }

  /** Takes what was read as credentials: on to the back-end, or held back as a failure. */
  protected logIn(read: Exclude<ReadCredentials, { kind: 'malformed' }>): void {
    if (read.kind === 'credentials') {
      this.awaitAnswer({ do: 'log-in', credentials: read.credentials })
    } else {
      if (read.hasControl) this.refuse('ctl_in_credentials')
      this.#failure = this.failed({ kind: 'refused' })
      this.awaitAnswer({ do: 'brake', attempt: this.failedLogins + 1 })
    }
  }

  /** Cuts a peer off that sends what cannot be read on. */
  protected cutOff(reason: RefusalReason): void {
    this.refuse(reason)
    this.send(this.farewell('too-long'))
    this.close('refused')
  }

  #goOn(text: string): void {
    this.send(text)
    this.#state = 'reading'
    if (this.failedLogins >= limits.failedLogins) {
      this.refuse('auth_failures')
      this.send(this.farewell('failures'))
      this.close('refused')
    }
  }

  #interrupt(why: 'timeout' | 'shutdown', reason: RefusalReason | undefined): FrontEndAction[] {
    if (this.#state === 'over') return []
    if (reason !== undefined) this.refuse(reason)
    this.send(this.farewell(why))
    this.close(why === 'shutdown' ? 'shutdown' : 'refused')
    return this.#taken()
  }

  #run(): FrontEndAction[] {
    while (this.#state === 'reading' && this.#kept !== '') {
      if (!(this.octetsDue > 0 ? this.#readOctets() : this.#readLine())) break
    }
    return this.#taken()
  }

  #readOctets(): boolean {
    const due = this.octetsDue
    if (this.#kept.length < due) return false
    const text = this.#kept.slice(0, due)
    this.#kept = this.#kept.slice(due)
    this.octets(text)
    return true
  }

  #readLine(): boolean {
    const end = this.#kept.indexOf('\n')
    if ((end === -1 ? this.#kept.length : end + 1) > this.lineLimitBytes) {
      this.cutOff('line_too_long')
      return false
    }
    if (end === -1) return false
    const isWhole = this.#kept.charCodeAt(end - 1) === 13
    const text = this.#kept.slice(0, isWhole ? end - 1 : end)
    this.#kept = this.#kept.slice(end + 1)
    // A line that ends otherwise than in CR LF may be read differently by whoever comes next.
    if (!isWhole || text.includes('\0') || text.includes('\r')) this.badLine()
    else this.line(text)
    return true
  }

  #taken(): FrontEndAction[] {
    const taken = this.actions
    this.actions = []
    return taken
  }
}
