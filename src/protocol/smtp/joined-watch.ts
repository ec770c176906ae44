/**
 * A joined session of submission: where 421 may stand (RFC 5321 section 3.8). What a client has said
 * and is not answered, a message above all, is the back-end's to answer first.
 */
import { formatReply, type Reply, reply } from '../../mail/reply.ts'
import { endsInCommand, type FarewellReason, type JoinedWatch } from '../joined-watch.ts'

const farewells: Readonly<Record<FarewellReason, Reply>> = {
  shutdown: reply(421, '4.3.2', 'server is stopping, try again later'),
  kicked: reply(421, '4.3.2', 'this session was ended, log in again'),
}

/** `250 `, and a line has room for more. */
const replyStartBytes = 4
const lineFeed = 0x0a

export class SubmissionWatch implements JoinedWatch {
  isLeaving = false
  #isAnswered = true
  /** How the line begins that has not ended. */
  #start = ''
  #isWithinLine = false

  get isAtBoundary(): boolean {
    return this.#isAnswered && !this.#isWithinLine
  }

  fromClient(bytes: Buffer): void {
    this.#isAnswered = false
    this.isLeaving = endsInCommand(bytes, 'quit')
  }

  fromBackEnd(bytes: Buffer, length: number): void {
    for (let at = 0; at < length; ) {
      const end = bytes.indexOf(lineFeed, at)
      const isWhole = end !== -1 && end < length
      const stop = isWhole ? end : length
      const room = replyStartBytes - this.#start.length
      this.#start += bytes.toString('latin1', at, Math.min(stop, at + room))
      this.#isWithinLine = !isWhole
      // The last line of a reply; of several that were asked for at once, the first will do.
      if (isWhole && /^\d{3}(?: |\r?$)/.test(this.#start)) this.#isAnswered = true
      if (isWhole) this.#start = ''
      at = stop + 1
    }
  }

  farewell(why: FarewellReason): string {
    return formatReply(farewells[why])
  }
}
