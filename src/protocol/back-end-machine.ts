/**
 * What the back-end machines of the login protocols share: bounded reading of lines, and the end.
 * Nothing that a back-end says before its login has succeeded is ever meant for the client.
 */
import { limits } from '../base/limit.ts'
import { type BackendReason, type BackendStep, printable } from '../base/log.ts'
import type { TlsMode } from '../config/config.ts'
import type {
  BackEndAction,
  BackEndOutcome,
  Introduction,
  LoginBackEnd,
  LoginProof,
} from './login.ts'
import { decodeBase64, encodeBase64 } from './sasl.ts'
import type { ClientAttributes } from './smtp/client-attributes.ts'

export abstract class BackEndMachine implements LoginBackEnd {
  step: BackendStep = 'greeting'
  protected readonly tls: TlsMode
  protected readonly proof: LoginProof
  /** Whom the back-end is told of, where it can be told. */
  protected readonly client: ClientAttributes | undefined
  #kept = ''
  #bytes = 0
  #actions: BackEndAction[] = []
  #isOver = false
  /** Whether something was sent since bytes last came. */
  #hasAsked = false
  /** A challenge has gone to the client. */
  #isClientsTurn = false

  constructor(tls: TlsMode, proof: LoginProof, introduction?: Introduction) {
    this.tls = tls
    this.proof = proof
    this.client = introduction?.client
  }

  /** Octets came that were not read yet. */
  protected get hasMore(): boolean {
    return this.#kept !== ''
  }

  /** Whether the line answers a command, rather than tells something unasked. */
  protected abstract isAnswer(text: string): boolean
  protected abstract line(text: string): void
  abstract tlsStarted(): BackEndAction[]
  /** Bytes other than lines that are due (a literal); how many, 0 for none. */
  protected get octetsDue(): number {
    return 0
  }

  protected octets(_text: string): void {
    throw new Error('no octets are due')
  }

  push(chunk: Buffer): BackEndAction[] {
    if (this.#isOver) return []
    this.#hasAsked = false
    this.#kept += chunk.toString('latin1')
    this.#bytes += chunk.length
    while (!this.#isOver && (this.octetsDue > 0 ? this.#readOctets() : this.#readLine())) {
      // Each of them goes on as far as there is something whole.
    }
    const isTooMuch = this.#kept.length > limits.imapLineBytes || this.#bytes > limits.replyBytes
    if (!this.#isOver && isTooMuch) this.#tooMuch()
    return this.taken()
  }

  #readOctets(): boolean {
    const due = this.octetsDue
    if (this.#kept.length < due) return false
    const text = this.#kept.slice(0, due)
    this.#kept = this.#kept.slice(due)
    this.octets(text)
    return true
  }

  #readLine(): boolean {
    const end = this.#kept.indexOf('\n')
    if (end === -1) return false
    const text = this.#kept.slice(0, this.#kept.charCodeAt(end - 1) === 13 ? end - 1 : end)
    this.#kept = this.#kept.slice(end + 1)
    if (text.length > limits.imapLineBytes) this.#tooMuch()
    // What came along with the line that made us ask was there before the question.
    else if ((this.#hasAsked || this.#isClientsTurn) && this.isAnswer(text)) {
      this.fail('desync', 'answers unasked')
    } else this.line(text)
    return true
  }

  respond(message: string): BackEndAction[] {
    if (this.#isOver) return []
    this.#isClientsTurn = false
    if (this.#kept === '') this.answered(message)
    else this.fail('desync', 'goes on before it is answered')
    return this.taken()
  }

  /** The client has answered in its turn. */
  protected answered(message: string): void {
    this.send(this.response(message))
  }

  /** How octets of an exchange are written. */
  protected response(message: string): string {
    return `${encodeBase64(message)}\r\n`
  }

  /** Takes what a back-end says in an exchange, in base64. */
  protected challenge(encoded: string): void {
    const message = decodeBase64(encoded)
    if (message === undefined) this.fail('bad_reply', 'a challenge that is not base64')
    else {
      this.#isClientsTurn = true
      this.#actions.push({ do: 'challenge', message })
    }
  }

  protected send(text: string): void {
    this.#hasAsked = true
    this.#actions.push({ do: 'send', text })
  }

  /** Upgrades, unless bytes came along that nobody has protected. */
  protected startTls(): void {
    if (this.#kept !== '') this.fail('starttls_surplus', 'sent data ahead of the TLS handshake')
    else {
      this.step = 'tls'
      this.#actions.push({ do: 'start-tls' })
    }
  }

  protected fail(reason: BackendReason, detail: string): void {
    this.finish({ kind: 'failed', step: this.step, reason, detail: printable(detail) })
  }

  protected accept(text: string, capabilities: string): void {
    const surplus = Buffer.from(this.#kept, 'latin1')
    this.finish({ kind: 'accepted', response: { text, capabilities }, surplus })
  }

  protected finish(outcome: BackEndOutcome): void {
    this.#actions.push({ do: 'finish', outcome })
    this.#isOver = true
    this.#kept = ''
  }

  protected taken(): BackEndAction[] {
    const taken = this.#actions
    this.#actions = []
    return taken
  }

  #tooMuch(): void {
    this.fail(this.step === 'greeting' ? 'bad_banner' : 'bad_reply', 'too long an answer')
  }
}
