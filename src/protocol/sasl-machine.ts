/**
 * A front-end machine of a protocol with SASL (RFC 4422): the client's messages line by line, until
 * they are credentials, or carried on to a back-end. A protocol adds its own words for it.
 *
 * The client is never answered while a line of an exchange is due from it: an end that comes
 * meanwhile waits for that line, so that no proof is read as a command.
 */
import type { Mechanism } from '../config/config.ts'
import type { FrontEndAction, LoginOutcome } from './login.ts'
import { LoginMachine } from './login-machine.ts'
import { decodeBase64, encodeBase64 } from './sasl.ts'
import { SaslDialogue } from './sasl/dialogue.ts'
import { givesPassword, mechanismNamed } from './sasl/mechanism.ts'

export abstract class SaslMachine extends LoginMachine {
  /** What is being read before we know what it is. */
  #dialogue: SaslDialogue | undefined
  /** The back-end waits for the client's next line. */
  #isCarried = false
  /** The end that an exchange came to while the client's line was due. */
  #outcome: LoginOutcome | undefined

  /** The answer to a line that is not base64, or breaks the exchange off. */
  protected abstract saslError(why: 'malformed' | 'cancelled'): string

  /** Whether name and password may be told in any form. */
  protected get takesPasswords(): boolean {
    return this.takesCredentials && this.mechanisms.some((mechanism) => givesPassword(mechanism))
  }

  /** The next line belongs to a login that has begun. */
  protected get awaitsSasl(): boolean {
    return this.#dialogue !== undefined || this.#isCarried
  }

  /** Undefined where it is not offered. */
  protected offered(name: string): Mechanism | undefined {
    return this.mechanisms.find((mechanism) => mechanism === mechanismNamed(name))
  }

  /** `initial`: what the client sent along in base64, `=` for nothing. */
  protected startSasl(mechanism: Mechanism, initial: string | undefined): void {
    this.#dialogue = new SaslDialogue(mechanism)
    if (initial === undefined) this.#ask(this.#dialogue.opening)
    else this.saslLine(initial === '=' ? '' : initial)
  }

  protected saslLine(text: string): void {
    if (text === '*') this.breakOff(this.saslError('cancelled'))
    else if (this.#dialogue !== undefined) this.#answer(this.#dialogue, text)
    else this.#respond(decodeBase64(text))
  }

  override challenged(message: string): FrontEndAction[] {
    this.#isCarried = true
    return this.hearAgain(this.challenge(message))
  }

  override loginAnswered(outcome: LoginOutcome): FrontEndAction[] {
    if (!this.#isCarried) return super.loginAnswered(outcome)
    this.#outcome = outcome
    return []
  }

  /** How octets for the client are written. */
  protected challenge(message: string): string {
    return `+ ${encodeBase64(message)}\r\n`
  }

  protected forgetSasl(): void {
    this.#dialogue = undefined
    if (this.#isCarried) this.actions.push({ do: 'abandon' })
    this.#forgetExchange()
  }

  /** A line breaks off what had begun, if anything had. Who saw a back-end's challenge has failed. */
  protected breakOff(text: string): void {
    const isCarried = this.#isCarried
    this.forgetSasl()
    if (isCarried) this.gaveUp(text)
    else this.bad(text)
  }

  #forgetExchange(): void {
    this.#isCarried = false
    this.#outcome = undefined
  }

  #ask(message: string): void {
    this.send(this.challenge(message))
  }

  #answer(dialogue: SaslDialogue, text: string): void {
    const step = dialogue.answer(text)
    if (step.kind === 'ask') {
      this.#ask(step.message)
      return
    }
    this.#dialogue = undefined
    if (step.kind === 'malformed') this.bad(this.saslError('malformed'))
    else if (step.kind === 'exchange') this.awaitAnswer({ do: 'exchange', exchange: step.exchange })
    else if (step.kind === 'claim') this.awaitAnswer({ do: 'claim', login: step.login })
    else this.logIn(step)
  }

  #respond(message: string | undefined): void {
    const outcome = this.#outcome
    if (message === undefined) this.breakOff(this.saslError('malformed'))
    else {
      this.#forgetExchange()
      if (outcome === undefined) this.awaitAnswer({ do: 'respond', message })
      else this.settle(outcome)
    }
  }
}
