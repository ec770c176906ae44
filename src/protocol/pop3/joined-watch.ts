/**
 * A joined POP3 session (RFC 1939): which responses are due, so that a word of ours is the answer to a
 * command, or comes when none is due. Where it is not known how long an answer is, none is said.
 */
import { endsInCommand, type FarewellReason, type JoinedWatch } from '../joined-watch.ts'
import { DueAnswers } from './due-answers.ts'
import { ListEnd } from './list-end.ts'

const lineFeed = 0x0a
const plus = 0x2b

const farewells = {
  shutdown: '-ERR [SYS/TEMP] Server is stopping, try again later.\r\n',
  kicked: '-ERR [SYS/TEMP] This session was ended, log in again.\r\n',
} as const

export class Pop3Watch implements JoinedWatch {
  isLeaving = false
  readonly #due = new DueAnswers()
  readonly #listEnd = new ListEnd()
  #within: 'status' | 'list' | undefined
  /** What follows the present status line is a list. */
  #isList = false

  get isAtBoundary(): boolean {
    return !this.#due.isLost && this.#within === undefined
  }

  farewell(why: FarewellReason): string {
    return farewells[why]
  }

  fromClient(bytes: Buffer): void {
    this.#due.push(bytes)
    this.isLeaving = endsInCommand(bytes, 'quit')
  }

  fromBackEnd(bytes: Buffer, length: number): void {
    const view = length === bytes.length ? bytes : bytes.subarray(0, length)
    for (let at = 0; at < view.length && !this.#due.isLost; ) {
      at = this.#within === 'list' ? this.#readList(view, at) : this.#readStatus(view, at)
    }
  }

  #readStatus(view: Buffer, at: number): number {
    const first = view[at] ?? 0
    if (this.#within === undefined) {
      const due = this.#due.next(first)
      this.#isList = first === plus && (due === 'list' || due === 'uidls')
      this.#within = 'status'
    }
    const end = view.indexOf(lineFeed, at)
    if (end === -1) return view.length
    this.#within = this.#isList ? 'list' : undefined
    this.#listEnd.begin()
    return end + 1
  }

  #readList(view: Buffer, at: number): number {
    const end = this.#listEnd.find(view, at)
    if (end !== undefined) this.#within = undefined
    return end ?? view.length
  }
}
