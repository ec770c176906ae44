/** One message on its way in, from our 354 to its end, and what its sender is to hear of it. */
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { Reply } from '../../mail/reply.ts'
import { type DotOptions, DotReader } from './dot-reader.ts'
import { faultAnswers } from './front-end-replies.ts'

export interface Verdict {
  /** One for all, or one for each accepted recipient. */
  readonly replies: readonly Reply[]
  /** The session is over after it. */
  readonly end: SessionEnd | undefined
}

export interface Intake {
  readonly pass: readonly Buffer[]
  /** A fault was met here for the first time: the back-end must not have this message. */
  readonly refusal: RefusalReason | undefined
  /** Where in the chunk the next command begins, once the message has ended. */
  readonly end: number | undefined
  /** So much came after a fault that its end is not waited for. */
  readonly isOverrun: boolean
}

export class MessageIntake {
  /** What is said at its end; undefined while the back-end's verdict counts. */
  verdict: Verdict | undefined
  readonly #reader: DotReader
  readonly #limitBytes: number

  constructor(options: DotOptions) {
    this.#reader = new DotReader(options)
    this.#limitBytes = options.limitBytes
  }

  get bytes(): number {
    return this.#reader.bytes
  }

  get bareLf(): number {
    return this.#reader.bareLf
  }

  push(chunk: Buffer): Intake {
    const { pass, end, fault } = this.#reader.push(chunk)
    let refusal: RefusalReason | undefined
    if (fault !== undefined) {
      const answer = faultAnswers[fault]
      this.verdict = { replies: [answer.reply], end: answer.end }
      refusal = answer.refusal
    }
    return {
      pass: this.verdict === undefined ? pass : [],
      refusal,
      end,
      isOverrun: this.#reader.drainedBytes > this.#limitBytes,
    }
  }
}
