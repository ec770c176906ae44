/**
 * How we speak to a back-end, SMTP or LMTP (RFC 5321, RFC 2033): after the opening one transaction
 * after another on the same connection.
 *
 * Requests may be made at any time; they wait here until the back-end is ready for them, and go out
 * together where it offers PIPELINING (RFC 2920), one by one where it does not. Every reply belongs to
 * the oldest request without one. A reply that nobody asked for ends the connection, since after it
 * no reply could be trusted to answer what it seems to answer.
 *
 * Own rules: the final dot is sent by `endOfData` only. RSET goes before every transaction but the
 * first. `fail` is the last action there ever is.
 */
import { type BackendReason, type BackendStep, printable } from '../../base/log.ts'
import { assertNever } from '../../base/never.ts'
import type { BackEndAction, BackEndOptions } from './back-end-action.ts'
import { BackEndOpening, type Opened } from './back-end-opening.ts'
import { noTransaction, type Request, refusalOf } from './back-end-request.ts'
import { type Capabilities, formatMail, formatRcpt, type Sender } from './capabilities.ts'
import { type ClientAttributes, formatAttributes } from './client-attributes.ts'
import { noRcptParameters, type RcptParameters } from './parameters.ts'
import { type RawReply, ReplyReader } from './reply-reader.ts'

type Phase = 'opening' | 'open' | 'message' | 'dead'
type Sent = Exclude<Request['kind'], 'client'> | 'end'

export class SmtpBackEnd {
  /** Replies that it has given in full, to whatever was asked. */
  answered = 0
  readonly #options: BackEndOptions
  readonly #opening: BackEndOpening
  readonly #reader = new ReplyReader()
  #phase: Phase = 'opening'
  #waiting: Request[] = []
  /** What was sent and has no reply yet. */
  #sent: Sent[] = []
  #isUsed = false
  #accepted = 0
  /** Answers every recipient of a transaction whose MAIL was refused, or never sent. */
  #mailRefusal: RawReply | undefined
  #wasMailSent = false
  #finalReplies: RawReply[] = []

  constructor(options: BackEndOptions) {
    this.#options = options
    this.#opening = new BackEndOpening(options)
  }

  get capabilities(): Capabilities {
    return this.#opening.capabilities
  }

  /** The names by which it introduced itself. */
  get names(): readonly string[] {
    return this.#opening.names
  }

  /** Nothing is under way: another transaction may begin. */
  get isIdle(): boolean {
    return this.#phase === 'open' && this.#sent.length === 0 && this.#waiting.length === 0
  }

  /** A command is out whose reply has not come. */
  get awaitsReply(): boolean {
    return this.#sent.length > 0
  }

  /** What it has said so far of the last message. */
  get verdicts(): readonly RawReply[] {
    return this.#finalReplies
  }

  /** How far it has come, for the event when the connection ends or time is up. */
  get step(): BackendStep {
    switch (this.#phase) {
      case 'opening':
        return this.#opening.step
      case 'message':
        return 'data'
      case 'open':
      case 'dead':
        if (this.#sent.includes('end')) return 'end_of_data'
        return this.#sent.includes('data') ? 'data' : 'envelope'
      default:
        return assertNever(this.#phase)
    }
  }

  /** `forwarded`: whose message it is, told by XFORWARD where that is offered. */
  begin(sender: Sender, forwarded?: ClientAttributes): BackEndAction[] {
    if (this.#isUsed) this.#waiting.push({ kind: 'reset' })
    this.#isUsed = true
    if (forwarded !== undefined) this.#waiting.push({ kind: 'client', client: forwarded })
    this.#waiting.push({ kind: 'mail', sender })
    // MAIL goes out with its first recipient.
    return []
  }

  recipient(address: string, parameters: RcptParameters = noRcptParameters): BackEndAction[] {
    this.#waiting.push({ kind: 'recipient', address, parameters })
    return this.#flush()
  }

  data(): BackEndAction[] {
    this.#waiting.push({ kind: 'data' })
    return this.#flush()
  }

  /** The message is complete and was taken: asks for the verdict. Only after a 354. */
  endOfData(): BackEndAction[] {
    if (this.#phase !== 'message') return []
    this.#phase = 'open'
    const replies = this.#options.protocol === 'lmtp' ? this.#accepted : 1
    this.#finalReplies = []
    for (let count = 0; count < replies; count++) this.#sent.push('end')
    return [{ do: 'send', text: '.\r\n' }]
  }

  tlsStarted(): BackEndAction[] {
    return this.#opening.awaitsTls ? this.#openFurther(this.#opening.tlsStarted(), '') : []
  }

  push(chunk: Buffer): BackEndAction[] {
    const actions: BackEndAction[] = []
    if (this.#phase === 'dead') return actions
    let awaited = this.#phase === 'opening' ? 1 : this.#sent.length
    for (const event of this.#reader.push(chunk)) {
      // What was said before TLS must not be taken for something said inside it.
      if (this.#awaitsTls) return this.#fail('starttls_surplus', 'a second reply')
      if (event.kind === 'fault') {
        const isBanner = this.#phase === 'opening' && !this.#opening.isGreeted
        actions.push(...this.#fail(isBanner ? 'bad_banner' : 'bad_reply', event.fault))
      } else if (awaited-- > 0 || event.reply.code === 421) {
        for (const action of this.#take(event.reply)) actions.push(action)
      }
      // It was said before the request that it would answer could be read.
      else actions.push(...this.#fail('desync', describe(event.reply)))
      if (actions.at(-1)?.do === 'fail') return actions
    }
    if (this.#awaitsTls && this.#reader.isMidReply) {
      return this.#fail('starttls_surplus', 'octets after the reply')
    }
    return actions
  }

  get #awaitsTls(): boolean {
    return this.#phase === 'opening' && this.#opening.awaitsTls
  }

  #take(reply: RawReply): BackEndAction[] {
    switch (this.#phase) {
      case 'opening':
        return this.#openFurther(this.#opening.take(reply), describe(reply))
      case 'open':
        return this.#answer(reply)
      case 'message':
        return reply.code === 421 ? this.#leave(reply) : this.#fail('desync', describe(reply))
      case 'dead':
        return []
      default:
        return assertNever(this.#phase)
    }
  }

  #openFurther(opened: Opened, said: string): BackEndAction[] {
    switch (opened.kind) {
      case 'send':
        return [{ do: 'send', text: opened.text }]
      case 'start-tls':
        return [{ do: 'start-tls' }]
      case 'ready':
        this.#phase = 'open'
        return [{ do: 'ready' }, ...this.#flush()]
      case 'fail':
        return this.#fail(opened.reason, opened.detail ?? said)
      default:
        return assertNever(opened)
    }
  }

  /** Sends what may be sent now, as one piece of text. */
  #flush(): BackEndAction[] {
    if (this.#phase !== 'open' || this.#waiting.length === 0) return []
    let text = ''
    const actions: BackEndAction[] = []
    while (this.#waiting.length > 0) {
      if (this.#sent.length > 0 && !this.capabilities.pipelining) break
      // RFC 2920 3.1: DATA ends a group, so nothing follows it before its reply.
      if (this.#sent.at(-1) === 'data' || this.#sent.at(-1) === 'end') break
      const [request] = this.#waiting
      if (request?.kind === 'mail' && this.#waiting.length === 1) break
      this.#waiting.shift()
      if (request !== undefined) text += this.#write(request, actions)
    }
    if (text !== '') actions.unshift({ do: 'send', text })
    return actions
  }

  /** The text of a request; what needs no asking is answered at once. */
  #write(request: Request, actions: BackEndAction[]): string {
    switch (request.kind) {
      case 'reset':
        this.#sent.push('reset')
        return 'RSET\r\n'
      case 'client': {
        const lines = formatAttributes('XFORWARD', request.client, this.capabilities.xforward)
        this.#waiting.unshift(...lines.map((line) => ({ kind: 'forward', line }) as const))
        return ''
      }
      case 'forward':
        this.#sent.push('forward')
        return request.line
      case 'mail': {
        const { sender } = request
        this.#accepted = 0
        this.#mailRefusal = refusalOf(sender, this.capabilities)
        this.#wasMailSent = this.#mailRefusal === undefined
        if (!this.#wasMailSent) return ''
        this.#sent.push('mail')
        return formatMail(sender, this.capabilities)
      }
      case 'recipient':
        if (!this.#wasMailSent) {
          actions.push({ do: 'recipient', reply: this.#mailRefusal ?? noTransaction })
          return ''
        }
        this.#sent.push('recipient')
        return formatRcpt(request.address, request.parameters, this.capabilities)
      case 'data':
        if (!this.#wasMailSent) {
          actions.push({ do: 'data', reply: noTransaction })
          return ''
        }
        this.#sent.push('data')
        return 'DATA\r\n'
      default:
        return assertNever(request)
    }
  }

  #answer(reply: RawReply): BackEndAction[] {
    const [request] = this.#sent
    if (reply.code === 421) return this.#leave(reply)
    if (request === undefined) return this.#fail('desync', describe(reply))
    const isSuccess = reply.code < 300
    const isIntermediate = reply.code >= 300 && reply.code < 400
    const isOutOfPlace = request === 'data' ? isSuccess : isIntermediate
    if (isOutOfPlace) return this.#fail('desync', describe(reply))
    this.#sent.shift()
    this.answered++
    switch (request) {
      case 'reset':
        return isSuccess ? this.#flush() : this.#fail('bad_reply', describe(reply))
      case 'forward':
        return this.#flush()
      case 'mail':
        if (!isSuccess) this.#mailRefusal = reply
        return this.#flush()
      case 'recipient':
        if (isSuccess && this.#mailRefusal === undefined) this.#accepted++
        return [{ do: 'recipient', reply: this.#mailRefusal ?? reply }, ...this.#flush()]
      case 'data':
        if (!isIntermediate) return [{ do: 'data', reply }]
        // The only way out of an empty message is a final dot, which nobody has sent us.
        if (this.#accepted === 0) return this.#fail('desync', 'DATA taken without a recipient')
        this.#phase = 'message'
        return [{ do: 'data', reply }]
      case 'end':
        this.#finalReplies.push(reply)
        return this.#sent[0] === 'end' ? [] : [{ do: 'message', replies: this.#finalReplies }]
      default:
        return assertNever(request)
    }
  }

  #leave(reply: RawReply): BackEndAction[] {
    const isEnding = this.#sent[0] === 'end'
    const wasTakenBySome = isEnding && this.#finalReplies.some(({ code }) => code < 300)
    return this.#fail('closed', describe(reply), !wasTakenBySome)
  }

  #fail(reason: BackendReason, detail: string, isShutdown = false): BackEndAction[] {
    const { step } = this
    this.#phase = 'dead'
    return [{ do: 'fail', step, reason, detail, isShutdown }]
  }
}

function describe({ code, lines }: RawReply): string {
  return printable(`${code} ${lines[0] ?? ''}`)
}
