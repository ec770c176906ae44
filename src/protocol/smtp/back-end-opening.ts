/**
 * How a connection to a back-end begins, until a transaction may: greeting, EHLO or LHLO, STARTTLS,
 * XCLIENT. RFC 5321 4.1.4, RFC 2033, RFC 3207, Postfix's XCLIENT_README.
 *
 * After XCLIENT the session is the client's: what it called itself is said again by EHLO, which Postfix
 * and Dovecot take for the truth whatever XCLIENT said before.
 *
 * STARTTLS is done or the connection fails. XCLIENT is sent where it is offered; where it is refused
 * the connection fails, since the back-end would take its client for us.
 */
import type { BackendReason, BackendStep } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { BackEndOptions } from './back-end-action.ts'
import { type Capabilities, noCapabilities, parseCapabilities } from './capabilities.ts'
import { formatAttributes, tellsLogin } from './client-attributes.ts'
import type { RawReply } from './reply-reader.ts'

export type Opened =
  | { readonly kind: 'send'; readonly text: string }
  | { readonly kind: 'start-tls' }
  | { readonly kind: 'ready' }
  /** `detail`: where it is not what the reply says. */
  | { readonly kind: 'fail'; readonly reason: BackendReason; readonly detail?: string }

type Phase = 'greeting' | 'hello' | 'helo' | 'starttls' | 'tls' | 'xclient' | 'done'

export class BackEndOpening {
  capabilities: Capabilities = noCapabilities
  /** The names by which it introduced itself. */
  readonly names: string[] = []
  readonly #options: BackEndOptions
  #phase: Phase = 'greeting'
  #isTlsAsked = false
  /** It has been told by XCLIENT whose session it is. */
  hasToldLogin = false
  /** Lines of XCLIENT that are still to be sent; undefined before the first. */
  #lines: string[] | undefined

  constructor(options: BackEndOptions) {
    this.#options = options
  }

  /** Its next octets belong to a handshake. */
  get awaitsTls(): boolean {
    return this.#phase === 'tls'
  }

  get isGreeted(): boolean {
    return this.#phase !== 'greeting'
  }

  get step(): BackendStep {
    switch (this.#phase) {
      case 'greeting':
        return 'greeting'
      case 'starttls':
      case 'tls':
        return 'tls'
      case 'hello':
      case 'helo':
      case 'xclient':
      case 'done':
        return 'hello'
      default:
        return assertNever(this.#phase)
    }
  }

  tlsStarted(): Opened {
    // Nothing learned before TLS counts after it (RFC 3207 4.2).
    this.capabilities = noCapabilities
    return this.#sayHello()
  }

  take(reply: RawReply): Opened {
    const { code } = reply
    switch (this.#phase) {
      case 'greeting':
        if (code !== 220) return { kind: 'fail', reason: 'bad_banner' }
        this.#learnName(reply)
        return this.#sayHello()
      case 'hello':
        return this.#takeHello(reply)
      case 'helo':
        return code === 250 ? this.#done() : { kind: 'fail', reason: 'bad_reply' }
      case 'starttls':
        if (code !== 220) return { kind: 'fail', reason: 'tls_unavailable' }
        this.#phase = 'tls'
        return { kind: 'start-tls' }
      case 'tls':
        return { kind: 'fail', reason: 'starttls_surplus' }
      case 'xclient':
        // 220, or 250 of those that do not go back to their beginning (Postfix before 2.3, smtp-sink).
        if (code >= 300) return { kind: 'fail', reason: 'bad_reply' }
        return this.#tellClient() ?? this.#sayHello()
      case 'done':
        return { kind: 'fail', reason: 'desync' }
      default:
        return assertNever(this.#phase)
    }
  }

  #sayHello(): Opened {
    this.#phase = 'hello'
    const verb = this.#options.protocol === 'lmtp' ? 'LHLO' : 'EHLO'
    const { hostname, client } = this.#options
    const name = this.#lines === undefined ? hostname : (client?.hello ?? hostname)
    return { kind: 'send', text: `${verb} ${name}\r\n` }
  }

  #takeHello(reply: RawReply): Opened {
    const isSecured = !this.#options.startTls || this.#isTlsAsked
    if (reply.code !== 250) {
      const isOld = reply.code >= 500 && this.#options.protocol === 'smtp'
      if (!isOld) return { kind: 'fail', reason: 'bad_reply' }
      if (!isSecured) return { kind: 'fail', reason: 'tls_unavailable' }
      this.#phase = 'helo'
      return { kind: 'send', text: `HELO ${this.#options.hostname}\r\n` }
    }
    this.#learnName(reply)
    this.capabilities = parseCapabilities(reply.lines)
    if (isSecured) return this.#tellClient() ?? this.#done()
    if (!this.capabilities.startTls) {
      return { kind: 'fail', reason: 'tls_unavailable', detail: 'STARTTLS is not offered' }
    }
    this.#phase = 'starttls'
    this.#isTlsAsked = true
    return { kind: 'send', text: 'STARTTLS\r\n' }
  }

  /** The next line of XCLIENT; undefined where there is none. */
  #tellClient(): Opened | undefined {
    const { client } = this.#options
    if (client === undefined) return undefined
    if (this.#lines === undefined) {
      this.#lines = formatAttributes('XCLIENT', client, this.capabilities.xclient)
      this.hasToldLogin = tellsLogin(this.#lines, client)
    }
    const text = this.#lines.shift()
    if (text === undefined) return undefined
    this.#phase = 'xclient'
    return { kind: 'send', text }
  }

  #done(): Opened {
    this.#phase = 'done'
    return { kind: 'ready' }
  }

  #learnName({ lines: [first = ''] }: RawReply): void {
    const [name = ''] = first.split(/\s/, 1)
    if (/^[\w.-]{4,255}$/.test(name) && !this.names.includes(name)) this.names.push(name)
  }
}
