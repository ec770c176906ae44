/**
 * POP3 towards a client until login: RFC 1939, 2449 (CAPA), 2595 (STLS), 5034 (AUTH), 3206
 * (AUTH and SYS response codes).
 */
import { limits } from '../../base/limit.ts'
import { type LoginOutcome, unavailableText } from '../login.ts'
import type { FrontEndOptions } from '../login-machine.ts'
import { readCredentials } from '../sasl.ts'
import { SaslMachine } from '../sasl-machine.ts'

type Command = (machine: Pop3FrontEnd, argument: string) => void

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['CAPA', (machine) => machine.capabilities()],
  ['NOOP', (machine) => machine.ok('')],
  ['QUIT', (machine) => machine.quit()],
  ['STLS', (machine, argument) => machine.upgrade(argument)],
  ['USER', (machine, argument) => machine.user(argument)],
  ['PASS', (machine, argument) => machine.pass(argument)],
  ['AUTH', (machine, argument) => machine.auth(argument)],
])

/** The answer to CAPA as far as TLS has no part in it. RFC 2449 section 6. */
const alwaysCapable = [
  '+OK',
  'TOP',
  'UIDL',
  'RESP-CODES',
  'AUTH-RESP-CODE',
  'PIPELINING',
  'IMPLEMENTATION mailmux',
  '',
].join('\r\n')

/** Response codes of a failed login that help its user. RFC 2449 section 8. */
const safeCodes = new Set(['IN-USE', 'LOGIN-DELAY'])

const needsTls = '-ERR [AUTH] Log in with TLS only.\r\n'

const farewells = {
  'too-long': '-ERR Line too long.\r\n',
  'too-many': '-ERR [SYS/TEMP] Too many bad commands.\r\n',
  'in-clear': '-ERR [SYS/TEMP] Log in with TLS only.\r\n',
  failures: '-ERR [SYS/TEMP] Too many failed logins.\r\n',
  timeout: '-ERR [SYS/TEMP] Too slow to log in.\r\n',
  shutdown: '-ERR [SYS/TEMP] Server is stopping, try again later.\r\n',
  injected: '-ERR Nothing may follow STLS before the handshake.\r\n',
} as const

class Pop3FrontEnd extends SaslMachine {
  #user = ''

  get greeting(): string {
    return `+OK ${this.options.hostname} ready.\r\n`
  }

  protected get lineLimitBytes(): number {
    return this.awaitsSasl ? limits.saslLineBytes : limits.pop3LineBytes
  }

  protected get octetsDue(): number {
    return 0
  }

  ok(text: string): void {
    this.send(text === '' ? '+OK\r\n' : `+OK ${text}\r\n`)
  }

  capabilities(): void {
    const user = this.takesPasswords ? 'USER\r\n' : ''
    const names = this.takesCredentials ? this.mechanisms : []
    const sasl = names.length === 0 ? '' : `SASL ${names.join(' ')}\r\n`
    const tls = this.canStartTls ? 'STLS\r\n' : ''
    this.send(`${alwaysCapable}${user}${sasl}${tls}.\r\n`)
  }

  quit(): void {
    this.ok('Bye.')
    this.close('logout')
  }

  upgrade(argument: string): void {
    if (argument !== '') this.bad('-ERR STLS takes no arguments.\r\n')
    else if (this.secure) this.bad('-ERR TLS is active already.\r\n')
    else if (!this.canStartTls) this.bad('-ERR STLS is not available.\r\n')
    else if (this.#user !== '') this.bad('-ERR STLS comes before USER.\r\n')
    else this.startTls('+OK Begin TLS negotiation now.\r\n')
  }

  user(name: string): void {
    // A name is no login yet.
    if (!this.takesCredentials) {
      this.bad(needsTls)
      return
    }
    if (!this.#mayTellPassword()) return
    const isSecond = this.#user !== ''
    this.#user = ''
    if (isSecond) this.bad('-ERR PASS comes after USER.\r\n')
    else if (name === '') this.bad('-ERR USER takes a name.\r\n')
    else {
      this.#user = name
      this.ok('')
    }
  }

  pass(password: string): void {
    const user = this.#user
    this.#user = ''
    if (!this.#mayTellPassword()) return
    if (user === '') {
      this.bad('-ERR USER comes first.\r\n')
      return
    }
    const read = readCredentials(user, password)
    this.logIn(read.kind === 'malformed' ? { kind: 'unusable', hasControl: false } : read)
  }

  auth(argument: string): void {
    this.#user = ''
    const [mechanism = '', initial, ...more] = argument.split(' ')
    if (mechanism === '') {
      const names = this.takesCredentials ? this.mechanisms.map((name) => `${name}\r\n`) : []
      this.send(`+OK\r\n${names.join('')}.\r\n`)
    } else if (more.length > 0) this.bad('-ERR AUTH takes a mechanism.\r\n')
    else {
      const offered = this.offered(mechanism)
      if (offered === undefined) this.bad('-ERR This mechanism is not offered.\r\n')
      else if (this.#mayLogIn()) this.startSasl(offered, initial)
    }
  }

  protected line(text: string): void {
    if (this.awaitsSasl) {
      this.saslLine(text)
      return
    }
    const nameEnd = text.indexOf(' ')
    const name = (nameEnd === -1 ? text : text.slice(0, nameEnd)).toUpperCase()
    const run = commands.get(name)
    if (run === undefined) this.bad('-ERR Not a command, or not before login.\r\n')
    else run(this, nameEnd === -1 ? '' : text.slice(nameEnd + 1))
  }

  protected octets(): void {
    throw new Error('POP3 has no literals')
  }

  protected forget(): void {
    this.#user = ''
    this.forgetSasl()
  }

  protected badLine(): void {
    this.#user = ''
    this.breakOff('-ERR Lines end in CR LF and hold no NUL.\r\n')
  }

  protected accepted({ response }: Extract<LoginOutcome, { kind: 'accepted' }>): string {
    return `+OK ${response.text === '' ? 'Logged in.' : response.text}\r\n`
  }

  protected failed(outcome: Exclude<LoginOutcome, { kind: 'accepted' }>): string {
    if (outcome.kind === 'denied' && safeCodes.has(outcome.code)) {
      return `-ERR [${outcome.code}] ${outcome.text || 'Login refused.'}\r\n`
    }
    return outcome.kind === 'unavailable'
      ? `-ERR [SYS/TEMP] ${unavailableText(outcome)}\r\n`
      : '-ERR [AUTH] Authentication failed.\r\n'
  }

  protected farewell(why: keyof typeof farewells): string {
    return farewells[why]
  }

  #mayLogIn(): boolean {
    if (this.takesCredentials) return true
    this.inClear(needsTls)
    return false
  }

  #mayTellPassword(): boolean {
    if (!this.#mayLogIn()) return false
    if (this.takesPasswords) return true
    this.bad('-ERR Passwords are not taken.\r\n')
    return false
  }

  protected saslError(why: keyof typeof saslErrors): string {
    return saslErrors[why]
  }
}

const saslErrors = {
  malformed: '-ERR Not base64.\r\n',
  cancelled: '-ERR Authentication cancelled.\r\n',
} as const

export function createPop3FrontEnd(options: FrontEndOptions): Pop3FrontEnd {
  return new Pop3FrontEnd(options)
}
