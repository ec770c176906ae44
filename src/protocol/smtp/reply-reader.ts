/**
 * Replies of a back-end, bytes to values; bounded in line length, lines and octets. RFC 5321 4.2.
 * Text stays as it came (latin1); clean-reply.ts makes it fit to be passed on.
 */
import { limits } from '../../base/limit.ts'

/** One reply as the back-end gave it: the text of its lines without code and separator. */
export interface RawReply {
  readonly code: number
  readonly lines: readonly string[]
}

export type ReplyFault =
  | 'line_too_long'
  | 'too_many_lines'
  | 'too_long'
  | 'bad_syntax'
  | 'mixed_codes'

export type ReplyEvent =
  | { readonly kind: 'reply'; readonly reply: RawReply }
  /** Nothing after it can be told apart: the connection is of no more use. */
  | { readonly kind: 'fault'; readonly fault: ReplyFault }

// The last line may be a bare code (RFC 5321 4.2 asks clients to take it).
const replyLine = /^[2-5]\d\d(?:[ -][^\0\r]*)?$/

export class ReplyReader {
  #pending = ''
  readonly #lines = new ReplyLines()
  #isDead = false

  /** True while a reply has begun and not ended. */
  get isMidReply(): boolean {
    return this.#pending !== '' || this.#lines.isMidReply
  }

  push(chunk: Buffer): ReplyEvent[] {
    const events: ReplyEvent[] = []
    if (this.#isDead) return events
    const text = this.#pending + chunk.toString('latin1')
    let from = 0
    for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', from)) {
      const line = text.slice(from, text[end - 1] === '\r' && end > from ? end - 1 : end)
      from = end + 1
      const event =
        line.length > limits.replyLineBytes ? fault('line_too_long') : this.#lines.take(line)
      if (event !== undefined) events.push(event)
      if (event?.kind === 'fault') return this.#die(events)
    }
    this.#pending = from === text.length ? '' : text.slice(from)
    if (this.#pending.length > limits.replyLineBytes) {
      events.push(fault('line_too_long'))
      return this.#die(events)
    }
    return events
  }

  #die(events: ReplyEvent[]): ReplyEvent[] {
    this.#isDead = true
    this.#pending = ''
    return events
  }
}

/** Replies out of lines without their line ends. After a fault it is of no more use. */
export class ReplyLines {
  #code = 0
  #lines: string[] = []
  #bytes = 0

  /** True after the first line of a reply that has another one. */
  get isMidReply(): boolean {
    return this.#lines.length > 0
  }

  /** Undefined where more lines belong to it. */
  take(line: string): ReplyEvent | undefined {
    if (!replyLine.test(line)) return fault('bad_syntax')
    const code = codeOf(line)
    if (this.#lines.length > 0 && code !== this.#code) return fault('mixed_codes')
    this.#code = code
    this.#bytes += line.length
    this.#lines.push(line.slice(4))
    if (this.#lines.length > limits.replyLines) return fault('too_many_lines')
    if (this.#bytes > limits.replyBytes) return fault('too_long')
    if (line[3] === '-') return undefined
    const lines = this.#lines
    this.#lines = []
    this.#bytes = 0
    return { kind: 'reply', reply: { code, lines } }
  }
}

/** The number that its first three characters are, which are digits. */
function codeOf(line: string): number {
  const digit = (at: number): number => line.charCodeAt(at) - 0x30
  return digit(0) * 100 + digit(1) * 10 + digit(2)
}

function fault(kind: ReplyFault): ReplyEvent {
  return { kind: 'fault', fault: kind }
}
