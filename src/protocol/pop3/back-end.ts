/**
 * POP3 towards a back-end until it has taken the login: greeting, STLS where asked for, USER and
 * PASS, or AUTH PLAIN where they would be too long for a line, or the client's own AUTH. RFC 1939,
 * 2449, 2595, 3206, 5034.
 */
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import { cleanText } from '../imap/grammar.ts'
import type { BackEndAction, Credentials, Introduction, LoginProof } from '../login.ts'
import { breaksLines, encodeBase64, octetsOf, writePlain } from '../sasl.ts'
import { firstFor } from '../sasl/exchange.ts'
import { xclientArgument } from '../told-client.ts'

type Awaited = 'greeting' | 'STLS' | 'XCLIENT' | 'USER' | 'PASS' | 'AUTH' | 'exchange'

const unavailableCodes = new Set(['SYS/TEMP', 'SYS/PERM'])
const deniedCodes = new Set(['IN-USE', 'LOGIN-DELAY'])
const responseForm = /^(\+OK|-ERR)(?: (?:\[([^\]]{1,64})\] ?)?(.*))?$/i
/** What a server must take, with the verb and CR LF. RFC 2449 section 4. */
const argumentBytes = 255 - 'USER \r\n'.length

class Pop3BackEnd extends BackEndMachine {
  /** What answers the `+` to AUTH. */
  #message = ''
  #awaited: Awaited = 'greeting'
  /** The name and the password go together where a server takes commands in a row. */
  readonly #isPipelining: boolean
  #hasSentPassword = false
  /** Dovecot says so in its greeting, to those whom it believes. */
  #takesXclient = false

  constructor(tls: TlsMode, proof: LoginProof, introduction?: Introduction) {
    super(tls, proof, introduction)
    this.#isPipelining = introduction?.isPipelining === true
  }

  tlsStarted(): BackEndAction[] {
    this.#introduce()
    return this.taken()
  }

  protected isAnswer(): boolean {
    return true
  }

  protected line(text: string): void {
    if (/^\+(?: |$)/.test(text) && this.#continued(text.slice(2))) return
    const match = responseForm.exec(text)
    if (match === null) {
      this.fail(this.#awaited === 'greeting' ? 'bad_banner' : 'bad_reply', text)
      return
    }
    const [, status = '', code = '', rest = ''] = match
    if (this.#awaited === 'greeting') this.#takesXclient = code.toUpperCase() === 'XCLIENT'
    if (status.startsWith('-')) this.#refused(code.toUpperCase(), rest)
    else this.#goOn(rest)
  }

  /** Whether the back-end may say now that it waits for more. */
  #continued(text: string): boolean {
    if (this.#awaited === 'AUTH') {
      this.#awaited = 'mechanism' in this.proof ? 'exchange' : 'PASS'
      this.send(`${this.#message}\r\n`)
    } else if (this.#awaited === 'exchange') this.challenge(text)
    else return false
    return true
  }

  #ask(verb: Exclude<Awaited, 'greeting' | 'exchange'>, argument = ''): void {
    this.#awaited = verb
    this.send(command(verb, argument))
  }

  #introduce(): void {
    const { client } = this
    if (client === undefined || !this.#takesXclient) this.#logIn()
    else this.#ask('XCLIENT', xclientArgument(client))
  }

  #logIn(): void {
    this.step = 'login'
    const proof = this.proof
    if (!('mechanism' in proof)) this.#logInWith(proof)
    else {
      // Not sent along: the line would often be too long, and old servers pass it over.
      this.#message = encodeBase64(firstFor(proof))
      this.#ask('AUTH', proof.mechanism)
    }
  }

  #logInWith(proof: Credentials): void {
    const { login, password, actsFor } = proof
    const user = octetsOf(login)
    if (breaksLines(user) || breaksLines(password)) {
      this.fail('no_mechanism', 'a name or password with line breaks cannot be sent')
    } else if (actsFor !== undefined || Math.max(user.length, password.length) > argumentBytes) {
      this.#message = writePlain(proof)
      this.#ask('AUTH', 'PLAIN')
    } else if (this.#isPipelining) {
      this.#awaited = 'USER'
      this.#hasSentPassword = true
      this.send(`${command('USER', user)}${command('PASS', password)}`)
    } else this.#ask('USER', user)
  }

  #goOn(text: string): void {
    switch (this.#awaited) {
      case 'greeting':
        this.step = 'hello'
        if (this.tls === 'starttls') this.#ask('STLS')
        else this.#introduce()
        break
      case 'XCLIENT':
        this.#logIn()
        break
      case 'STLS':
        this.startTls()
        break
      case 'USER':
        if (this.#hasSentPassword) this.#awaited = 'PASS'
        else this.#ask('PASS', 'password' in this.proof ? this.proof.password : '')
        break
      case 'PASS':
      case 'exchange':
        this.accept(cleanText(text), '')
        break
      case 'AUTH':
        this.fail('desync', 'took a login that it had not been sent')
        break
    }
  }

  #refused(code: string, text: string): void {
    if (this.#awaited === 'greeting') this.fail('login_unavailable', text)
    else if (this.#awaited === 'STLS') this.fail('tls_unavailable', `refuses STLS: ${text}`)
    // It has changed its mind: the login does not depend on it.
    else if (this.#awaited === 'XCLIENT') this.#logIn()
    else if (unavailableCodes.has(code)) this.fail('login_unavailable', text)
    else if (deniedCodes.has(code)) this.finish({ kind: 'denied', code, text: cleanText(text) })
    // No AUTH PLAIN there: a server may take longer lines than it must.
    else if (this.#awaited === 'AUTH' && 'password' in this.proof) {
      this.#ask('USER', octetsOf(this.proof.login))
    } else this.finish({ kind: 'refused' })
  }
}

function command(verb: string, argument: string): string {
  return argument === '' ? `${verb}\r\n` : `${verb} ${argument}\r\n`
}

export function createPop3BackEnd(
  tls: TlsMode,
  proof: LoginProof,
  introduction?: Introduction,
): Pop3BackEnd {
  return new Pop3BackEnd(tls, proof, introduction)
}
