/**
 * What the back-end machines of the login protocols share: bounded reading of lines, and the end.
 * Nothing that a back-end says before its login has succeeded is ever meant for the client.
 */
import { limits } from '../base/limit.ts'
import { type BackendReason, type BackendStep, printable } from '../base/log.ts'
import type { BackEndAction, BackEndOutcome, LoginBackEnd } from './login.ts'

export abstract class BackEndMachine implements LoginBackEnd {
  step: BackendStep = 'greeting'
  #kept = ''
  #bytes = 0
  #actions: BackEndAction[] = []
  #isOver = false
  /** Whether something was sent since bytes last came. */
  #hasAsked = false

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
    else if (this.#hasAsked && this.isAnswer(text)) this.fail('desync', 'answers unasked')
    else this.line(text)
    return true
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
