/**
 * ManageSieve towards a client until login: RFC 5804. Capabilities come unasked with the greeting
 * and after STARTTLS. After the login of a mechanism without a security layer they must not (section
 * 2.1): who asks for them then asks the back-end itself.
 */
import { limits } from '../../base/limit.ts'
import type { Token } from '../imap/grammar.ts'
import { type LoginOutcome, unavailableText } from '../login.ts'
import type { FrontEndOptions } from '../login-machine.ts'
import { encodeBase64 } from '../sasl.ts'
import { SaslMachine } from '../sasl-machine.ts'
import { Assembly, isQuotable, readCommand, readStrings, writeQuoted } from './grammar.ts'
import { leastOffers, type SieveOffers } from './offers.ts'

interface Command {
  /** How many strings it takes at most. */
  readonly takes: number
  readonly run: (machine: SieveFrontEnd, args: readonly string[]) => void
}

const commands: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['AUTHENTICATE', { takes: 2, run: (machine, args) => machine.authenticate(args) }],
  ['CAPABILITY', { takes: 0, run: (machine) => machine.capability() }],
  ['LOGOUT', { takes: 0, run: (machine) => machine.logOut() }],
  ['NOOP', { takes: 1, run: (machine, args) => machine.noop(args) }],
  ['STARTTLS', { takes: 0, run: (machine) => machine.upgrade() }],
])

const farewells = {
  'too-long': 'BYE "Too much data before login."\r\n',
  'too-many': 'BYE "Too many bad commands."\r\n',
  'in-clear': 'BYE (ENCRYPT-NEEDED) "Log in with TLS only."\r\n',
  failures: 'BYE "Too many failed logins."\r\n',
  timeout: 'BYE "Too slow to log in."\r\n',
  shutdown: 'BYE (TRYLATER) "Server is stopping, try again later."\r\n',
  injected: 'BYE "Nothing may follow STARTTLS before the handshake."\r\n',
} as const

const saslErrors = {
  malformed: 'NO "Not base64."\r\n',
  cancelled: 'NO "Authentication cancelled."\r\n',
} as const

class SieveFrontEnd extends SaslMachine {
  readonly #offers: SieveOffers
  readonly #command = new Assembly()

  constructor(options: FrontEndOptions, offers: SieveOffers) {
    super(options)
    this.#offers = offers
  }

  get greeting(): string {
    return `${this.#capabilities}OK "${this.options.hostname} ready."\r\n`
  }

  get #capabilities(): string {
    const { extensions, notify, maxRedirects, isComplete } = this.#offers
    const told: readonly (readonly string[])[] = [
      ['IMPLEMENTATION', 'mailmux'],
      ['SASL', this.takesCredentials ? this.mechanisms.join(' ') : ''],
      ['SIEVE', extensions],
      ...(notify === undefined ? [] : [['NOTIFY', notify]]),
      ...(maxRedirects === undefined ? [] : [['MAXREDIRECTS', String(maxRedirects)]]),
      ...(this.canStartTls ? [['STARTTLS']] : []),
      ...(isComplete ? [['VERSION', '1.0']] : []),
    ]
    return told.map((strings) => `${strings.map(writeQuoted).join(' ')}\r\n`).join('')
  }

  protected get lineLimitBytes(): number {
    return this.#limitBytes - this.#command.size
  }

  get #limitBytes(): number {
    return this.awaitsSasl ? limits.saslLineBytes : limits.sieveCommandBytes
  }

  protected get octetsDue(): number {
    return this.#command.octetsDue
  }

  capability(): void {
    this.send(`${this.#capabilities}OK "CAPABILITY completed."\r\n`)
  }

  logOut(): void {
    this.send('OK "Logging out."\r\n')
    this.close('logout')
  }

  noop([tag]: readonly string[]): void {
    if (tag === undefined) this.send('OK "NOOP completed."\r\n')
    else if (!isQuotable(tag)) this.bad('NO "NOOP takes a short text."\r\n')
    else this.send(`OK (TAG ${writeQuoted(tag)}) "NOOP completed."\r\n`)
  }

  upgrade(): void {
    if (this.secure) this.bad('NO "TLS is active already."\r\n')
    else if (!this.canStartTls) this.bad('NO "STARTTLS is not available."\r\n')
    else this.startTls('OK "Begin TLS negotiation now."\r\n')
  }

  authenticate([mechanism, initial]: readonly string[]): void {
    const offered = this.offered(mechanism ?? '')
    if (mechanism === undefined) this.bad('NO "AUTHENTICATE takes a mechanism."\r\n')
    else if (offered === undefined) this.bad('NO "This mechanism is not offered."\r\n')
    else if (this.takesCredentials) this.startSasl(offered, initial)
    else this.inClear('NO (ENCRYPT-NEEDED) "Log in with TLS only."\r\n')
  }

  protected override greetAgain(): void {
    this.send(`${this.#capabilities}OK "TLS is active."\r\n`)
  }

  protected line(text: string): void {
    const isWhole = this.#command.takeLine(text)
    // A client's octets follow unasked: they must not become commands.
    const isTooMuch = this.#command.size > this.#limitBytes
    if (isTooMuch || this.#command.literals > limits.literalsPerCommand) {
      this.cutOff('literal_too_big')
    } else if (isWhole) this.#complete()
  }

  protected octets(text: string): void {
    this.#command.takeOctets(text)
  }

  protected forget(): void {
    this.#command.clear()
    this.forgetSasl()
  }

  protected badLine(): void {
    this.#command.clear()
    this.breakOff('NO "Lines end in CR LF and hold no NUL."\r\n')
  }

  protected accepted({ response }: Extract<LoginOutcome, { kind: 'accepted' }>): string {
    return response.text === '' ? 'OK\r\n' : `OK ${writeQuoted(response.text)}\r\n`
  }

  protected failed(outcome: Exclude<LoginOutcome, { kind: 'accepted' }>): string {
    return outcome.kind === 'unavailable'
      ? `NO (TRYLATER) "${unavailableText(outcome)}"\r\n`
      : 'NO "Authentication failed."\r\n'
  }

  protected saslError(why: keyof typeof saslErrors): string {
    return saslErrors[why]
  }

  protected override challenge(message: string): string {
    const text = encodeBase64(message)
    return isQuotable(text) ? `"${text}"\r\n` : `{${text.length}}\r\n${text}\r\n`
  }

  protected farewell(why: keyof typeof farewells): string {
    return farewells[why]
  }

  #complete(): void {
    const tokens = this.#command.finish()
    if (this.awaitsSasl) this.#saslResponse(tokens)
    else if (tokens === undefined) this.bad('NO "Malformed arguments."\r\n')
    else this.#perform(tokens)
  }

  #perform(tokens: readonly Token[]): void {
    const { name, args } = readCommand(tokens)
    const command = commands.get(name)
    const strings = readStrings(args)
    if (command === undefined) this.bad('NO "Not a command, or not before login."\r\n')
    else if (strings === undefined) this.bad(`NO "${name} takes strings only."\r\n`)
    else if (strings.length > command.takes) this.bad(`NO "Too many arguments for ${name}."\r\n`)
    else command.run(this, strings)
  }

  #saslResponse(tokens: readonly Token[] | undefined): void {
    const [response, ...more] = readStrings(tokens ?? []) ?? []
    if (response !== undefined && more.length === 0) this.saslLine(response)
    else this.breakOff('NO "This answer takes a string."\r\n')
  }
}

export function createSieveFrontEnd(
  options: FrontEndOptions,
  offers: SieveOffers = leastOffers,
): SieveFrontEnd {
  return new SieveFrontEnd(options, offers)
}
