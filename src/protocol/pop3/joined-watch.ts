/**
 * A joined POP3 session (RFC 1939): which responses are due, so that a word of ours is the answer to a
 * command, or comes when none is due. A client that sends what is not known here hears none.
 */
import { limits } from '../../base/limit.ts'
import type { FarewellReason, JoinedWatch } from '../joined-watch.ts'

/** Commands of which `+OK` is followed by lines and a dot: always, or without an argument. */
const lists = new Set(['RETR', 'TOP', 'CAPA'])
const listsAlone = new Set(['LIST', 'UIDL', 'LANG'])
const lines = new Set(['STAT', 'DELE', 'NOOP', 'RSET', 'QUIT', 'UTF8'])

const endOfList = Buffer.from('\r\n.\r\n')
const seamBytes = endOfList.length - 1
const lineFeed = 0x0a
/** More than any client has under way. */
const mostDue = 1000

const farewells = {
  shutdown: '-ERR [SYS/TEMP] Server is stopping, try again later.\r\n',
  kicked: '-ERR [SYS/TEMP] This session was ended, log in again.\r\n',
} as const

type Due = 'line' | 'list'

export class Pop3Watch implements JoinedWatch {
  readonly #due: Due[] = []
  /** A command that has not ended. */
  #command = ''
  /** A status line that has not ended. */
  #status = ''
  #isWithinList = false
  /** The last bytes of a list, where its end may have begun. */
  #seam = ''
  #isLost = false

  get isAtBoundary(): boolean {
    return !this.#isLost && !this.#isWithinList && this.#status === ''
  }

  farewell(why: FarewellReason): string {
    return farewells[why]
  }

  fromClient(bytes: Buffer): void {
    if (this.#isLost) return
    const commands = (this.#command + bytes.toString('latin1')).split('\n')
    this.#command = commands.pop() ?? ''
    for (const command of commands) this.#expect(command.trim())
    const isTooMuch = this.#command.length > limits.pop3LineBytes || this.#due.length > mostDue
    if (isTooMuch) this.#giveUp()
  }

  fromBackEnd(bytes: Buffer, length: number): void {
    const view = length === bytes.length ? bytes : bytes.subarray(0, length)
    for (let at = 0; at < view.length && !this.#isLost; ) {
      at = this.#isWithinList ? this.#readList(view, at) : this.#readStatus(view, at)
    }
  }

  #expect(command: string): void {
    const [verb = '', argument] = command.toUpperCase().split(' ')
    const isList = lists.has(verb) || (listsAlone.has(verb) && argument === undefined)
    if (isList) this.#due.push('list')
    else if (lines.has(verb) || listsAlone.has(verb)) this.#due.push('line')
    else this.#giveUp()
  }

  #readStatus(view: Buffer, at: number): number {
    const end = view.indexOf(lineFeed, at)
    // What it is, its first octet says.
    if (this.#status === '') this.#status = String.fromCharCode(view[at] ?? 0)
    if (end === -1) return view.length
    const due = this.#due.shift()
    if (due === undefined) this.#giveUp()
    this.#isWithinList = due === 'list' && this.#status === '+'
    // An empty list ends right after the line that announces it.
    this.#seam = '\r\n'
    this.#status = ''
    return end + 1
  }

  #readList(view: Buffer, at: number): number {
    const head = view.toString('latin1', at, Math.min(view.length, at + seamBytes))
    const before = this.#seam
    const early = `${before}${head}`.indexOf('\r\n.\r\n')
    const found = early === -1 ? view.indexOf(endOfList, at) : early
    if (found === -1) {
      const tail = view.toString('latin1', Math.max(at, view.length - seamBytes))
      this.#seam = (before + tail).slice(-seamBytes)
      return view.length
    }
    this.#isWithinList = false
    return found + endOfList.length + (early === -1 ? 0 : at - before.length)
  }

  #giveUp(): void {
    this.#isLost = true
    this.#due.length = 0
    this.#command = ''
  }
}
