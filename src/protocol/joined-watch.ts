/**
 * What passes between client and back-end after a login, watched just closely enough to know where a
 * word of ours would be understood: between two responses of the back-end, never within one.
 */
import { isWordAt } from './word-at.ts'

/** Why a joined session is ended by us. */
export type FarewellReason = 'shutdown' | 'kicked'

/** Of one session, from its join on: all bytes pass it, in order, in any chunks. */
export interface JoinedWatch {
  /** The first `length` bytes of `bytes`, which others use again afterwards. */
  fromBackEnd(bytes: Buffer, length: number): void
  fromClient(bytes: Buffer): void
  /** Whether the client would understand a word of ours now. */
  readonly isAtBoundary: boolean
  /** The last that the client said was that it leaves: nothing more is to be expected of it. */
  readonly isLeaving: boolean
  /** The word. */
  farewell(why: FarewellReason): string
}

/** Whether a chunk ends with a command that is `name`, in small letters, and takes no arguments. */
export function endsInCommand(chunk: Buffer, name: string): boolean {
  const end = chunk.length - 2
  if (chunk[end] !== carriageReturn || chunk[end + 1] !== lineFeed) return false
  return end >= name.length && isWordAt(chunk, end - name.length, name)
}

/** `{4294967295+}`, and room for zeros. */
const announcementBytes = 24
const announcementEnd = Buffer.from('}\r\n')
const announcement = /\{(\d+)\+?\}$/
/** As much as is looked at may be the end of a longer one. */
const longAnnouncement = new RegExp(`^(?=.{${announcementBytes}}$)\\d+\\+?\\}$`)
/** With its CRLF. */
const lineEndBytes = announcementBytes + 2
const lineFeed = 0x0a
const carriageReturn = 0x0d

/**
 * IMAP (RFC 9051) and ManageSieve (RFC 5804): lines, with literals between them that are announced at
 * the end of a line. A text that looks like an announcement and is none makes it wait too long, never
 * too short.
 */
export abstract class LiteralWatch implements JoinedWatch {
  isLeaving = false
  /** Bytes of the present literal that have not come. */
  #literalLeft = 0
  #isWithinLine = false
  /** The end of a line that has not ended: there an announcement may have begun. */
  #tail = ''

  abstract farewell(why: FarewellReason): string

  get isAtBoundary(): boolean {
    return this.#literalLeft === 0 && !this.#isWithinLine
  }

  fromClient(bytes: Buffer): void {
    this.isLeaving = endsInCommand(bytes, 'logout')
  }

  fromBackEnd(bytes: Buffer, length: number): void {
    let at = this.#skipLiteral(0, length)
    if (at === length) return
    const view = length === bytes.length ? bytes : bytes.subarray(0, length)
    if (this.#tail !== '') at = this.#finishLine(view)
    if (at === length) return
    // One search for the end of an announcement, in native code, is all that most chunks cost.
    for (let end = view.indexOf(announcementEnd, at); end !== -1; ) {
      const from = Math.max(at, end + 1 - announcementBytes)
      this.#announce(view.toString('latin1', from, end + 1))
      at = this.#skipLiteral(end + announcementEnd.length, length)
      if (this.#literalLeft > 0) return
      end = view.indexOf(announcementEnd, at)
    }
    if (at === length) return
    this.#isWithinLine = view[length - 1] !== lineFeed
    this.#tail = this.#isWithinLine ? lastLineOf(view, at) : ''
  }

  /** Returns where the literal ends, or the chunk. */
  #skipLiteral(at: number, length: number): number {
    const skipped = Math.min(this.#literalLeft, length - at)
    if (skipped === 0) return at
    this.#literalLeft -= skipped
    // What follows a literal is the rest of its line.
    this.#isWithinLine = true
    this.#tail = ''
    return at + skipped
  }

  /** A line that began in the chunk before may end in an announcement. Returns where to go on. */
  #finishLine(view: Buffer): number {
    const head = view.toString('latin1', 0, Math.min(view.length, lineEndBytes))
    const end = head.indexOf('\n')
    const line = this.#tail + (end === -1 ? head : head.slice(0, end))
    this.#tail = ''
    if (end === -1 && head.length < lineEndBytes) {
      this.#tail = line.slice(-lineEndBytes)
      return view.length
    }
    if (end === -1) return 0
    this.#announce(line.endsWith('\r') ? line.slice(-announcementBytes - 1, -1) : '')
    return this.#skipLiteral(end + 1, view.length)
  }

  /** `end`: of a line, no more of it than an announcement takes. */
  #announce(end: string): void {
    const [, size] = announcement.exec(end) ?? []
    this.#isWithinLine = size !== undefined || longAnnouncement.test(end)
    // Of one that is too long to be read nobody knows where it ends.
    this.#literalLeft = this.#isWithinLine ? Number(size ?? Number.POSITIVE_INFINITY) : 0
  }
}

/** As much of it as may announce a literal. */
function lastLineOf(view: Buffer, at: number): string {
  const text = view.toString('latin1', Math.max(at, view.length - lineEndBytes))
  return text.slice(text.lastIndexOf('\n') + 1)
}
