/**
 * ManageSieve towards a back-end until it has taken the login: capabilities with the greeting,
 * STARTTLS where asked for and capabilities anew, AUTHENTICATE. RFC 5804.
 *
 * What a mechanism has to say at its end may come with the OK (section 1.3). It goes to the client as
 * a question that it has to answer, as in other protocols, and the OK waits for that.
 */
import { limits } from '../../base/limit.ts'
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import { cleanText } from '../imap/grammar.ts'
import type { BackEndAction, Introduction, LoginProof } from '../login.ts'
import { breaksLines, encodeBase64, writePlain } from '../sasl.ts'
import { firstFor } from '../sasl/exchange.ts'
import { xclientArgument } from '../told-client.ts'
import { Assembly, readResponse, type SieveResponse, writeString } from './grammar.ts'

type Awaited = 'capabilities' | 'STARTTLS' | 'XCLIENT' | 'AUTHENTICATE'
type Ending = Exclude<SieveResponse, { kind: 'strings' }>

class SieveBackEnd extends BackEndMachine {
  readonly #response = new Assembly()
  #isUpgraded = false
  #awaited: Awaited = 'capabilities'
  /** By name in capitals. */
  #capabilities = new Map<string, string>()
  /** The text of an OK whose last words the client has not answered yet. */
  #held: string | undefined

  tlsStarted(): BackEndAction[] {
    this.#isUpgraded = true
    this.step = 'hello'
    this.#awaited = 'capabilities'
    this.#capabilities = new Map()
    return this.taken()
  }

  protected isAnswer(): boolean {
    return true
  }

  protected override get octetsDue(): number {
    return this.#response.octetsDue
  }

  protected override octets(text: string): void {
    this.#response.takeOctets(text)
  }

  protected line(text: string): void {
    const isWhole = this.#response.takeLine(text)
    const { octetsDue, literals } = this.#response
    const isTooMuch = octetsDue > limits.imapLineBytes || literals > limits.literalsPerCommand
    if (isTooMuch) this.#unreadable('too long an answer')
    else if (isWhole) this.#complete(text)
  }

  #complete(lastLine: string): void {
    const response = readResponse(this.#response.finish() ?? [])
    if (response === undefined) this.#unreadable(lastLine)
    else if (response.kind === 'strings') this.#said(response.strings)
    else if (response.kind === 'BYE') this.fail('login_unavailable', response.text)
    else this.#ended(response)
  }

  #unreadable(detail: string): void {
    this.fail(this.step === 'greeting' ? 'bad_banner' : 'bad_reply', detail)
  }

  /** A line of capabilities, or what should have been one. */
  #said([name = '', value = '', ...more]: readonly string[]): void {
    if (this.#awaited === 'AUTHENTICATE') this.#challenged(name)
    else if (this.#awaited === 'STARTTLS' || more.length > 0) this.#unreadable(name)
    else this.#capabilities.set(name.toUpperCase(), value)
  }

  #challenged(encoded: string): void {
    if ('mechanism' in this.proof) this.challenge(encoded)
    else this.fail('desync', 'asked to go on with nothing to send')
  }

  #ended(ending: Ending): void {
    if (this.#awaited === 'AUTHENTICATE') this.#loginAnswered(ending)
    // Whatever it thinks of that.
    else if (this.#awaited === 'XCLIENT') this.#logIn()
    else if (this.#awaited === 'STARTTLS') this.#upgradeAnswered(ending)
    else if (ending.kind === 'NO') this.fail('login_unavailable', ending.text)
    else this.#afterHello()
  }

  /** Capabilities are known: upgrade, or log in. */
  #afterHello(): void {
    this.step = 'hello'
    if (!this.#capabilities.has('SASL')) this.#notManageSieve()
    else if (this.tls !== 'starttls' || this.#isUpgraded) this.#introduce()
    else if (this.#capabilities.has('STARTTLS')) this.#ask('STARTTLS', 'STARTTLS')
    else this.fail('tls_unavailable', 'does not offer STARTTLS')
  }

  #notManageSieve(): void {
    this.fail('bad_banner', 'names no SASL mechanisms, not even none')
  }

  #ask(awaited: Awaited, command: string): void {
    this.#awaited = awaited
    this.send(`${command}\r\n`)
  }

  #introduce(): void {
    const { client } = this
    if (client === undefined || !this.#capabilities.has('XCLIENT')) this.#logIn()
    else this.#ask('XCLIENT', `XCLIENT ${xclientArgument(client)}`)
  }

  #logIn(): void {
    this.step = 'login'
    const mechanisms = (this.#capabilities.get('SASL') ?? '').toUpperCase().split(' ')
    const proof = this.proof
    const name = 'mechanism' in proof ? proof.mechanism : 'PLAIN'
    if (!mechanisms.includes(name)) this.fail('no_mechanism', `does not take ${name}`)
    else if ('mechanism' in proof) this.#authenticate(name, encodeBase64(firstFor(proof)))
    else if (breaksLines(proof.login) || breaksLines(proof.password)) {
      this.fail('no_mechanism', 'a name or password with line breaks cannot be sent')
    } else this.#authenticate(name, writePlain(proof))
  }

  #authenticate(mechanism: string, message: string): void {
    this.#ask('AUTHENTICATE', `AUTHENTICATE "${mechanism}" ${writeString(message)}`)
  }

  #upgradeAnswered({ kind, text }: Ending): void {
    if (kind === 'OK') this.startTls()
    else this.fail('tls_unavailable', `refuses STARTTLS: ${text}`)
  }

  protected override answered(message: string): void {
    if (this.#held === undefined) super.answered(message)
    else this.accept(this.#held, '')
  }

  protected override response(message: string): string {
    return `${writeString(encodeBase64(message))}\r\n`
  }

  #loginAnswered({ kind, code, data, text }: Ending): void {
    if (kind === 'OK' && code === 'SASL' && data !== undefined && 'mechanism' in this.proof) {
      this.#held = cleanText(text)
      this.challenge(data)
    } else if (kind === 'OK') this.accept(cleanText(text), '')
    else if (code === 'TRYLATER') this.fail('login_unavailable', text)
    // The user is elsewhere: that is for the map to say, and no fault of the credentials.
    else if (code === 'REFERRAL') this.fail('login_unavailable', 'refers to another server')
    else if (code === 'ENCRYPT-NEEDED' || code === 'AUTH-TOO-WEAK') this.fail('no_mechanism', text)
    else this.finish({ kind: 'refused' })
  }
}

export function createSieveBackEnd(
  tls: TlsMode,
  proof: LoginProof,
  introduction?: Introduction,
): SieveBackEnd {
  return new SieveBackEnd(tls, proof, introduction)
}
