/**
 * POP3 towards a back-end until it has taken the login: greeting, STLS where asked for, USER and
 * PASS. RFC 1939, 2595, 3206.
 */
import type { TlsMode } from '../../config/config.ts'
import { BackEndMachine } from '../back-end-machine.ts'
import { cleanText } from '../imap/grammar.ts'
import type { BackEndAction, Credentials } from '../login.ts'

type Awaited = 'greeting' | 'STLS' | 'USER' | 'PASS'

const unavailableCodes = new Set(['SYS/TEMP', 'SYS/PERM'])
const deniedCodes = new Set(['IN-USE', 'LOGIN-DELAY'])
const responseForm = /^(\+OK|-ERR)(?: (?:\[([^\]]{1,64})\] ?)?(.*))?$/i

class Pop3BackEnd extends BackEndMachine {
  readonly #tls: TlsMode
  readonly #credentials: Credentials
  #awaited: Awaited = 'greeting'

  constructor(tls: TlsMode, credentials: Credentials) {
    super()
    this.#tls = tls
    this.#credentials = credentials
  }

  tlsStarted(): BackEndAction[] {
    this.#logIn()
    return this.taken()
  }

  protected line(text: string): void {
    const match = responseForm.exec(text)
    if (match === null) {
      this.fail(this.#awaited === 'greeting' ? 'bad_banner' : 'bad_reply', text)
      return
    }
    const [, status = '', code = '', rest = ''] = match
    if (status === '-ERR') this.#refused(code.toUpperCase(), rest)
    else this.#goOn(rest)
  }

  #ask(command: Awaited, argument = ''): void {
    this.#awaited = command
    this.send(argument === '' ? `${command}\r\n` : `${command} ${argument}\r\n`)
  }

  #logIn(): void {
    this.step = 'login'
    this.#ask('USER', Buffer.from(this.#credentials.login, 'utf8').toString('latin1'))
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
    }
  }

  #refused(code: string, text: string): void {
    if (this.#awaited === 'greeting') this.fail('login_unavailable', text)
    else if (this.#awaited === 'STLS') this.fail('tls_unavailable', `refuses STLS: ${text}`)
    else if (unavailableCodes.has(code)) this.fail('login_unavailable', text)
    else if (deniedCodes.has(code)) this.finish({ kind: 'denied', code, text: cleanText(text) })
    else this.finish({ kind: 'refused' })
  }
}

export function createPop3BackEnd(tls: TlsMode, credentials: Credentials): Pop3BackEnd {
  return new Pop3BackEnd(tls, credentials)
}
