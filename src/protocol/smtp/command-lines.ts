/**
 * Octets of a client, cut into commands on demand: what is not asked for stays here, untouched,
 * since it may be a message. Bounded: an overlong line is read up to a limit and thrown away.
 */
import { limits } from '../../base/limit.ts'
import { reply } from '../../mail/reply.ts'
import { isWordAt } from '../word-at.ts'
import type { Command } from './grammar.ts'

const lf = 0x0a
const cr = 0x0d
const empty = Buffer.alloc(0)

/** What no parser is asked about. */
type Hostile = Extract<Command, { verb: 'HOSTILE' }>

const tooLong: Hostile = {
  verb: 'HOSTILE',
  refusal: reply(500, '5.5.2', 'line too long'),
  reason: 'line_too_long',
}
const bareLineEnd: Hostile = {
  verb: 'HOSTILE',
  refusal: reply(501, '5.5.2', 'lines end with CR LF'),
  reason: 'bare_lf',
}

export class CommandLines<Read = Command> {
  readonly #parse: (octets: string) => Read
  #bytes: Buffer = empty
  #discarded = 0

  /** `parse` is given a line without its CR LF, as latin1. */
  constructor(parse: (octets: string) => Read) {
    this.#parse = parse
  }

  /** Octets that were not taken yet. */
  get length(): number {
    return this.#bytes.length
  }

  /** Keeps a copy of what is left of a chunk only when it is not taken before the next one. */
  push(chunk: Buffer): void {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
  }

  /** The chunk given last is about to be used for something else. */
  settle(): void {
    if (this.#bytes.length > 0) this.#bytes = Buffer.from(this.#bytes)
    else this.#bytes = empty
  }

  /** All that is left. */
  takeAll(): Buffer {
    const bytes = this.#bytes
    this.#bytes = empty
    return bytes
  }

  /** The next line, complete or not, is of those that a client may send without waiting. */
  get isInGroup(): boolean {
    return isWordAt(this.#bytes, 0, 'rcpt') || isWordAt(this.#bytes, 0, 'data')
  }

  /** The next command; undefined until its line is complete. */
  next(): Read | Hostile | undefined {
    const end = this.#bytes.indexOf(lf)
    if (this.#discarded > 0 || (end === -1 ? this.#bytes.length : end) >= limits.smtpCommandBytes) {
      return this.#discard(end)
    }
    if (end === -1) return undefined
    const line = this.#bytes.toString('latin1', 0, Math.max(0, end - 1))
    const isBare = this.#bytes[end - 1] !== cr
    this.#bytes = this.#bytes.subarray(end + 1)
    return isBare ? bareLineEnd : this.#parse(line)
  }

  #discard(end: number): Hostile | undefined {
    this.#discarded += this.#bytes.length
    this.#bytes = empty
    return end !== -1 || this.#discarded > limits.discardBytes ? tooLong : undefined
  }
}
