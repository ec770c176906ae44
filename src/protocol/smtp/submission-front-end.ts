/**
 * Submission towards a client until login: RFC 6409, RFC 4954 (AUTH), RFC 3207 (STARTTLS), RFC 5321.
 * Nothing of a message is taken before; what may be said of one is what all back-ends offer.
 */
import { limits } from '../../base/limit.ts'
import { formatReply, type Reply, reply } from '../../mail/reply.ts'
import { type LoginOutcome, unavailableText } from '../login.ts'
import type { FrontEndOptions } from '../login-machine.ts'
import { encodeBase64 } from '../sasl.ts'
import { SaslMachine } from '../sasl-machine.ts'
import type { ClientAttributes } from './client-attributes.ts'
import { replies } from './front-end-replies.ts'
import { type Command, parseCommand } from './grammar.ts'
import { leastOffers } from './offers.ts'

/** RFC 4954 section 6: all but those of a session without a message ask for a login. */
const needsLogin = new Set(['MAIL', 'RCPT', 'DATA', 'BURL', 'VRFY', 'EXPN', 'ETRN'])
const dialect = { protocol: 'smtp', offers: leastOffers(0) } as const

const answers = {
  loginFirst: reply(530, '5.7.0', 'authentication required'),
  tlsFirst: reply(530, '5.7.0', 'send STARTTLS first'),
  needsTls: reply(538, '5.7.11', 'log in with TLS only'),
  helloFirst: reply(503, '5.5.1', 'send EHLO first'),
  syntax: reply(501, '5.5.4', 'syntax: AUTH mechanism [initial-response]'),
  notOffered: reply(504, '5.5.4', 'this mechanism is not offered'),
  badLine: reply(501, '5.5.2', 'lines end with CR LF and hold no NUL'),
  failed: reply(535, '5.7.8', 'Authentication failed.'),
} as const

const saslErrors = {
  malformed: reply(501, '5.5.2', 'not base64'),
  cancelled: reply(501, '5.7.0', 'authentication cancelled'),
} as const

const farewells = {
  'too-long': reply(500, '5.5.2', 'line too long'),
  'too-many': replies.tooManyBad,
  'in-clear': reply(421, '4.7.0', 'log in with TLS only'),
  failures: reply(421, '4.7.0', 'too many failed logins'),
  timeout: reply(421, '4.4.2', 'too slow to log in'),
  shutdown: replies.stopping,
  injected: replies.tlsPipelined,
} as const

class SubmissionFrontEnd extends SaslMachine {
  readonly #extensions: readonly string[]
  #hello: ClientAttributes = {}

  constructor(options: FrontEndOptions, extensions: readonly string[]) {
    super(options)
    this.#extensions = extensions
  }

  get greeting(): string {
    return `220 ${this.options.hostname} ESMTP mailmux\r\n`
  }

  override get introduction(): ClientAttributes {
    return this.#hello
  }

  /** Of AUTH; that of other commands is less, and known when they are. */
  protected get lineLimitBytes(): number {
    return limits.saslLineBytes
  }

  protected get octetsDue(): number {
    return 0
  }

  protected line(text: string): void {
    if (this.awaitsSasl) {
      this.saslLine(text)
      return
    }
    const [, word = '', rest = ''] = /^([^ \t]*)[ \t]*(.*)$/.exec(text.trimEnd()) ?? []
    const verb = word.toUpperCase()
    if (verb === 'AUTH') this.#auth(rest)
    else if (text.length + '\r\n'.length > limits.smtpCommandBytes) this.cutOff('line_too_long')
    else if (needsLogin.has(verb)) {
      this.#bad(this.takesCredentials ? answers.loginFirst : answers.tlsFirst)
    } else this.#perform(parseCommand(text, dialect))
  }

  protected octets(): void {
    throw new Error('SMTP has no literals')
  }

  protected forget(): void {
    this.#hello = {}
    this.forgetSasl()
  }

  protected badLine(): void {
    this.breakOff(formatReply(answers.badLine))
  }

  protected accepted({ response }: Extract<LoginOutcome, { kind: 'accepted' }>): string {
    return formatReply(reply(235, '2.7.0', response.text))
  }

  protected failed(outcome: Exclude<LoginOutcome, { kind: 'accepted' }>): string {
    if (outcome.kind !== 'unavailable') return formatReply(answers.failed)
    return formatReply(reply(454, '4.7.0', unavailableText(outcome)))
  }

  protected farewell(why: keyof typeof farewells): string {
    return formatReply(farewells[why])
  }

  protected saslError(why: keyof typeof saslErrors): string {
    return formatReply(saslErrors[why])
  }

  protected override challenge(message: string): string {
    return `334 ${encodeBase64(message)}\r\n`
  }

  #perform(command: Command): void {
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        this.#greet(command.verb, command.domain)
        break
      case 'RSET':
      case 'NOOP':
        this.#say(replies.ok)
        break
      case 'QUIT':
        this.#say(replies.bye)
        this.close('logout')
        break
      case 'STARTTLS':
        this.#upgrade()
        break
      case 'XCLIENT':
      case 'XFORWARD':
        this.refuse('xclient_denied')
        this.#bad(replies.notTrusted)
        break
      case 'HOSTILE':
        this.refuse(command.reason)
        this.#say(command.refusal)
        this.close('refused')
        break
      case 'BAD':
        if (command.reason !== undefined) this.refuse(command.reason)
        this.#bad(command.refusal)
        break
      // LMTP's own, which the dialect has not; the others were told to log in.
      default:
        this.#bad(replies.notImplemented)
    }
  }

  #greet(verb: 'EHLO' | 'HELO', domain: string): void {
    this.#hello = { hello: domain, protocol: verb === 'EHLO' ? 'ESMTP' : 'SMTP' }
    const lines = [this.options.hostname]
    if (verb === 'EHLO') {
      lines.push(...this.#extensions)
      const names = this.takesCredentials ? this.mechanisms : []
      if (names.length > 0) lines.push(`AUTH ${names.join(' ')}`)
      if (this.canStartTls) lines.push('STARTTLS')
    }
    this.#say(reply(250, '', ...lines))
  }

  #upgrade(): void {
    if (this.secure) this.#bad(replies.tlsActive)
    else if (!this.canStartTls) this.#bad(replies.notImplemented)
    else this.startTls(formatReply(replies.startTls))
  }

  #auth(argument: string): void {
    const [name = '', initial, ...more] = argument.split(/[ \t]+/)
    const mechanism = this.offered(name)
    if (!this.takesCredentials) this.inClear(formatReply(answers.needsTls))
    else if (this.#hello.hello === undefined) this.#bad(answers.helloFirst)
    else if (name === '' || more.length > 0) this.#bad(answers.syntax)
    else if (mechanism === undefined) this.#bad(answers.notOffered)
    else this.startSasl(mechanism, initial)
  }

  #say(answer: Reply): void {
    this.send(formatReply(answer))
  }

  #bad(answer: Reply): void {
    this.bad(formatReply(answer))
  }
}

/** `extensions`: what may be said of messages, as EHLO offers it. */
export function createSubmissionFrontEnd(
  options: FrontEndOptions,
  extensions: readonly string[] = [],
): SubmissionFrontEnd {
  return new SubmissionFrontEnd(options, extensions)
}
