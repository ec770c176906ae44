/** Where a session stands between two commands, and what its open transaction has come to. */
import { limits } from '../../base/limit.ts'
import { classOf, type Reply } from '../../mail/reply.ts'
import { replies } from './front-end-replies.ts'
import { next, type Phase, type TableEvent } from './session-table.ts'

export class EnvelopePhase {
  /** Recipients of the open transaction that were accepted. */
  accepted = 0
  #phase: Phase = 'start'
  #recipients = 0
  /** Unknown recipients of the session so far. */
  #unknown = 0
  readonly #isHarvestWatched: boolean

  /** Who delivers from a list, as by LMTP, is not looking for addresses. */
  constructor(isHarvestWatched: boolean) {
    this.#isHarvestWatched = isHarvestWatched
  }

  get isOpen(): boolean {
    return this.#phase === 'sender' || this.#phase === 'recipients'
  }

  /** Another client: what the one before has asked for is not its fault. */
  forgetClient(): void {
    this.#unknown = 0
  }

  /** Enters the next phase, or returns the refusal of an event that is out of order. */
  advance(event: TableEvent): Reply | undefined {
    const following = next(this.#phase, event)
    if (typeof following !== 'string') return following
    if (event === 'MAIL') {
      this.accepted = 0
      this.#recipients = 0
    }
    if (event === 'RCPT' && this.#recipients >= limits.recipientsPerMessage) {
      return replies.tooManyRecipients
    }
    if (event === 'RCPT') this.#recipients++
    this.#phase = following
    return undefined
  }

  /** Counts the answer to a recipient; false where this session looks for addresses. */
  count(answer: Reply): boolean {
    if (answer.code < 300) this.accepted++
    if (isUnknown(answer)) this.#unknown++
    return !this.#isHarvestWatched || this.#unknown <= limits.unknownRecipients
  }
}

/** It may be that there is no such address: RFC 3463 3.2, or nothing more exact than the code is said. */
function isUnknown(answer: Reply): boolean {
  return classOf(answer) === 'permanent' && /^(?:|5\.0\.0|5\.1\.\d+)$/.test(answer.status)
}
