/**
 * POP3 towards a back-end until it has taken the login: greeting, STLS where asked for, USER and
 * PASS, or AUTH PLAIN where they would be too long for a line. RFC 1939, 2449, 2595, 3206, 5034.
 */
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import { cleanText } from '../imap/grammar.ts'
import type { BackEndAction, Credentials } from '../login.ts'
import { breaksLines, writePlain } from '../sasl.ts'

type Awaited = 'greeting' | 'STLS' | 'USER' | 'PASS' | 'AUTH'

const unavailableCodes = new Set(['SYS/TEMP', 'SYS/PERM'])
const deniedCodes = new Set(['IN-USE', 'LOGIN-DELAY'])
const responseForm = /^(\+OK|-ERR)(?: (?:\[([^\]]{1,64})\] ?)?(.*))?$/i
/** What a server must take, with the verb and CR LF. RFC 2449 section 4. */
const argumentBytes = 255 - 'USER \r\n'.length

class Pop3BackEnd extends BackEndMachine {
  readonly #tls: TlsMode
  readonly #user: string
  readonly #credentials: Credentials
  #awaited: Awaited = 'greeting'

  constructor(tls: TlsMode, credentials: Credentials) {
    super()
    this.#tls = tls
    this.#user = Buffer.from(credentials.login, 'utf8').toString('latin1')
    this.#credentials = credentials
  }

  tlsStarted(): BackEndAction[] {
    this.#logIn()
    return this.taken()
  }

  protected isAnswer(): boolean {
    return true
  }

  protected line(text: string): void {
    if (this.#awaited === 'AUTH' && /^\+(?: |$)/.test(text)) {
      this.#awaited = 'PASS'
      this.send(`${writePlain(this.#credentials.login, this.#credentials.password)}\r\n`)
      return
    }
    const match = responseForm.exec(text)
    if (match === null) {
      this.fail(this.#awaited === 'greeting' ? 'bad_banner' : 'bad_reply', text)
      return
    }
    const [, status = '', code = '', rest = ''] = match
    if (status.startsWith('-')) this.#refused(code.toUpperCase(), rest)
    else this.#goOn(rest)
  }

  #ask(command: Awaited, argument = ''): void {
    this.#awaited = command
    this.send(argument === '' ? `${command}\r\n` : `${command} ${argument}\r\n`)
  }

  #logIn(): void {
    this.step = 'login'
    const { password } = this.#credentials
    if (breaksLines(this.#user) || breaksLines(password)) {
      this.fail('no_mechanism', 'a name or password with line breaks cannot be sent')
    } else if (Math.max(this.#user.length, password.length) > argumentBytes) {
      this.#ask('AUTH', 'PLAIN')
    } else this.#ask('USER', this.#user)
  }

  #goOn(text: string): void {
    switch (this.#awaited) {
      case 'greeting':
        this.step = 'hello'
        if (this.#tls === 'starttls') this.#ask('STLS')
        else this.#logIn()
        break
      case 'STLS':
        this.startTls()
        break
      case 'USER':
        this.#ask('PASS', this.#credentials.password)
        break
      case 'PASS':
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
    else if (unavailableCodes.has(code)) this.fail('login_unavailable', text)
    else if (deniedCodes.has(code)) this.finish({ kind: 'denied', code, text: cleanText(text) })
    // No AUTH PLAIN there: a server may take longer lines than it must.
    else if (this.#awaited === 'AUTH') this.#ask('USER', this.#user)
    else this.finish({ kind: 'refused' })
  }
}

export function createPop3BackEnd(tls: TlsMode, credentials: Credentials): Pop3BackEnd {
  return new Pop3BackEnd(tls, credentials)
}
