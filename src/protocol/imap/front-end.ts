/**
 * IMAP towards a client until login: RFC 9051 and 3501, LITERAL- (RFC 7888), SASL-IR (RFC 4959),
 * ID (RFC 2971).
 *
 * A command is a line, or lines with literals between them: `#parts` collects them until the last
 * line has come. The table of commands says what each does; whatever is not in it is refused.
 */
import { limits } from '../../base/limit.ts'
import { type LoginOutcome, unavailableText } from '../login.ts'
import type { FrontEndOptions } from '../login-machine.ts'
import { readCredentials } from '../sasl.ts'
import { SaslMachine } from '../sasl-machine.ts'
import type { ClientAttributes, IdPair } from '../smtp/client-attributes.ts'
import { passableId, ttlOfId } from '../told-client.ts'
import { capabilitiesFor } from './capabilities.ts'
import {
  type CommandLine,
  cleanText,
  type LiteralMark,
  type Part,
  readArguments,
  readCommand,
  readIdParameters,
  readLiteralMark,
  type Token,
} from './grammar.ts'

type Command = (machine: ImapFrontEnd, tag: string, args: readonly Token[]) => void

/** Response codes of a failed login that help its user and give nothing away. RFC 5530. */
const safeCodes = new Set(['LIMIT', 'EXPIRED', 'CONTACTADMIN', 'INUSE', 'OVERQUOTA', 'ALERT'])

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['CAPABILITY', (machine, tag) => machine.capability(tag)],
  ['NOOP', (machine, tag) => machine.done(tag, 'NOOP completed.')],
  ['LOGOUT', (machine, tag) => machine.logOut(tag)],
  ['ID', (machine, tag, args) => machine.identify(tag, args)],
  ['STARTTLS', (machine, tag) => machine.upgrade(tag)],
  ['LOGIN', (machine, tag, args) => machine.plainLogin(tag, args)],
  ['AUTHENTICATE', (machine, tag, args) => machine.authenticate(tag, args)],
])
/** Who has not said what it is. */
const unnamed: ClientAttributes = { id: [] }
const withoutArguments = new Set(['CAPABILITY', 'NOOP', 'LOGOUT', 'STARTTLS'])

class ImapFrontEnd extends SaslMachine {
  #parts: Part[] = []
  #commandBytes = 0
  #literal: LiteralMark | undefined
  #tag = ''
  #hasAskedCapability = false
  /** What it says of itself; where it is another proxy, how many more the client may pass, too. */
  #id: readonly IdPair[] = []

  get greeting(): string {
    return `* OK [CAPABILITY ${this.#capabilities}] ${this.options.hostname} ready.\r\n`
  }

  override get introduction(): ClientAttributes {
    if (this.#id.length === 0) return unnamed
    const ttl = ttlOfId(this.#id)
    return { id: passableId(this.#id), ...(ttl === undefined ? {} : { ttl: ttl - 1 }) }
  }

  protected get lineLimitBytes(): number {
    return this.awaitsSasl ? limits.saslLineBytes : limits.imapLineBytes
  }

  protected get octetsDue(): number {
    return this.#literal?.size ?? 0
  }

  get #capabilities(): string {
    const { mechanisms, canStartTls, takesCredentials } = this
    return capabilitiesFor(mechanisms, canStartTls, takesCredentials)
  }

  capability(tag: string): void {
    this.#hasAskedCapability = true
    this.send(`* CAPABILITY ${this.#capabilities}\r\n`)
    this.done(tag, 'CAPABILITY completed.')
  }

  done(tag: string, text: string): void {
    this.send(`${tag} OK ${text}\r\n`)
  }

  logOut(tag: string): void {
    this.send('* BYE Logging out.\r\n')
    this.done(tag, 'LOGOUT completed.')
    this.close('logout')
  }

  identify(tag: string, args: readonly Token[]): void {
    const pairs = readIdParameters(args)
    if (pairs === undefined) this.bad(`${tag} BAD ID takes NIL or a list of pairs.\r\n`)
    else {
      this.#id = pairs
      this.send('* ID ("name" "mailmux")\r\n')
      this.done(tag, 'ID completed.')
    }
  }

  upgrade(tag: string): void {
    if (this.secure) this.bad(`${tag} BAD TLS is active already.\r\n`)
    else if (!this.canStartTls) this.bad(`${tag} BAD STARTTLS is not available.\r\n`)
    else this.startTls(`${tag} OK Begin TLS negotiation now.\r\n`)
  }

  plainLogin(tag: string, args: readonly Token[]): void {
    const [user, password] = args
    if (args.length !== 2 || user === undefined || password === undefined) {
      this.bad(`${tag} BAD LOGIN takes a user name and a password.\r\n`)
    } else if (!('text' in user && 'text' in password)) {
      this.bad(`${tag} BAD LOGIN takes two strings.\r\n`)
    } else if (this.takesCredentials && !this.takesPasswords) {
      this.bad(`${tag} NO [CANNOT] Passwords are not taken.\r\n`)
    } else if (this.#mayLogIn(tag)) {
      this.#tag = tag
      const read = readCredentials(user.text, password.text)
      this.logIn(read.kind === 'malformed' ? { kind: 'unusable', hasControl: false } : read)
    }
  }

  authenticate(tag: string, args: readonly Token[]): void {
    const [mechanism, initial, ...more] = args
    if (mechanism?.kind !== 'atom' || more.length > 0) {
      this.bad(`${tag} BAD AUTHENTICATE takes a mechanism.\r\n`)
      return
    }
    const offered = this.offered(mechanism.text)
    if (offered === undefined) {
      this.bad(`${tag} NO [CANNOT] This mechanism is not offered.\r\n`)
    } else if (this.#mayLogIn(tag)) {
      this.#tag = tag
      if (initial === undefined) this.startSasl(offered, undefined)
      else if (initial.kind === 'atom') this.startSasl(offered, initial.text)
      else this.bad(this.saslError('malformed'))
    }
  }

  protected line(text: string): void {
    if (this.awaitsSasl) this.saslLine(text)
    else if (this.#parts.length === 0 && readCommand(text) === undefined) this.#untaggedLine(text)
    else this.#commandLine(text)
  }

  protected octets(text: string): void {
    this.#parts.push({ literal: text })
    this.#literal = undefined
  }

  protected forget(): void {
    this.#parts = []
    this.#commandBytes = 0
    this.#literal = undefined
    this.forgetSasl()
    this.#hasAskedCapability = false
    this.#id = []
  }

  protected badLine(): void {
    // An exchange of AUTHENTICATE is over with it, and its command is to be answered.
    const tag = this.awaitsSasl ? this.#tag : '*'
    this.forgetCommand()
    this.breakOff(`${tag} BAD Lines end in CR LF and hold no NUL.\r\n`)
  }

  protected accepted({ response }: Extract<LoginOutcome, { kind: 'accepted' }>): string {
    const { capabilities } = response
    const code = capabilities === '' ? '' : `[CAPABILITY ${capabilities}] `
    // Who has asked already may not look into the code of the response.
    const untagged =
      this.#hasAskedCapability && capabilities !== '' ? `* CAPABILITY ${capabilities}\r\n` : ''
    const text = response.text === '' ? 'Logged in.' : response.text
    return `${untagged}${this.#tag} OK ${code}${text}\r\n`
  }

  protected failed(outcome: Exclude<LoginOutcome, { kind: 'accepted' }>): string {
    if (outcome.kind === 'denied' && safeCodes.has(outcome.code)) {
      return `${this.#tag} NO [${outcome.code}] ${cleanText(outcome.text) || 'Login refused.'}\r\n`
    }
    return outcome.kind === 'unavailable'
      ? `${this.#tag} NO [UNAVAILABLE] ${unavailableText(outcome)}\r\n`
      : `${this.#tag} NO [AUTHENTICATIONFAILED] Authentication failed.\r\n`
  }

  protected farewell(why: keyof typeof farewells): string {
    return farewells[why]
  }

  #mayLogIn(tag: string): boolean {
    if (this.takesCredentials) return true
    this.inClear(`${tag} NO [PRIVACYREQUIRED] Log in with TLS only.\r\n`)
    return false
  }

  /** Not a command at all: what was sent is not repeated, and literals in it are not asked for. */
  #untaggedLine(text: string): void {
    const mark = readLiteralMark(text)
    if (mark?.nonSync === true) this.cutOff('literal_too_big')
    else this.bad('* BAD A command begins with a tag.\r\n')
  }

  #commandLine(text: string): void {
    const mark = readLiteralMark(text)
    this.#commandBytes += text.length + (mark?.size ?? 0)
    this.#parts.push({ line: mark === undefined ? text : mark.before })
    if (mark !== undefined) this.#announced(mark)
    else this.#complete()
  }

  #announced(mark: LiteralMark): void {
    const { tag = '*', name = '' } = this.#firstLine ?? {}
    const limit = mark.nonSync ? limits.imapNonSyncLiteralBytes : limits.imapSyncLiteralBytes
    if (mark.size > limit) {
      // The octets of a non-synchronizing literal are on their way: they must not become commands.
      if (mark.nonSync) this.cutOff('literal_too_big')
      else {
        this.forgetCommand()
        this.refuse('literal_too_big')
        this.bad(`${tag} BAD [TOOBIG] This literal is too big.\r\n`)
      }
      return
    }
    // A piece of a line and a literal for each.
    const isTooMany = this.#parts.length > 2 * limits.literalsPerCommand
    if (isTooMany || this.#commandBytes > limits.imapCommandBytes) {
      this.cutOff('literal_too_big')
      return
    }
    // A password that may not be used is not asked for either.
    if (name === 'LOGIN' && !mark.nonSync && !this.#mayLogIn(tag)) {
      this.forgetCommand()
      return
    }
    if (mark.size === 0) this.#parts.push({ literal: '' })
    else this.#literal = mark
    if (!mark.nonSync) this.send('+ OK\r\n')
  }

  get #firstLine(): CommandLine | undefined {
    const [first] = this.#parts
    return first !== undefined && 'line' in first ? readCommand(first.line) : undefined
  }

  #complete(): void {
    const command = this.#firstLine
    const parts = this.#parts
    this.forgetCommand()
    if (command === undefined) return
    const { tag, name, rest } = command
    const run = commands.get(name)
    const args = readArguments([{ line: rest }, ...parts.slice(1)])
    if (run === undefined) this.bad(`${tag} BAD Not a command, or not before login.\r\n`)
    else if (args === undefined) this.bad(`${tag} BAD Malformed arguments.\r\n`)
    else if (withoutArguments.has(name) && (args.length > 0 || rest !== '')) {
      this.bad(`${tag} BAD ${name} takes no arguments.\r\n`)
    } else run(this, tag, args)
  }

  forgetCommand(): void {
    this.#parts = []
    this.#commandBytes = 0
    this.#literal = undefined
  }

  protected saslError(why: keyof typeof saslErrors): string {
    return `${this.#tag} BAD ${saslErrors[why]}\r\n`
  }
}

const saslErrors = { malformed: 'Not base64.', cancelled: 'Authentication cancelled.' } as const

const farewells = {
  'too-long': '* BYE Too much data before login.\r\n',
  'too-many': '* BYE Too many bad commands.\r\n',
  'in-clear': '* BYE Log in with TLS only.\r\n',
  failures: '* BYE Too many failed logins.\r\n',
  timeout: '* BYE Too slow to log in.\r\n',
  shutdown: '* BYE [UNAVAILABLE] Server is stopping, try again later.\r\n',
  injected: '* BYE Nothing may follow STARTTLS before the handshake.\r\n',
} as const

export function createImapFrontEnd(options: FrontEndOptions): ImapFrontEnd {
  return new ImapFrontEnd(options)
}
