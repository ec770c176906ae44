/** The lines of a source with the bytes that they take, for editing in place. */
export interface SourceLine {
  /** Number from 1. */
  readonly number: number
  /** Bytes of the line; `end` is after what ends it. */
  readonly start: number
  readonly end: number
  /** Without what ends it, and without a byte order mark. */
  readonly text: string
  /** Byte at which `text` begins. */
  readonly textStart: number
}

const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])
const lf = 0x0a
const cr = 0x0d

/**
 * The lines that `isRead` takes by where they begin; all of them without it. Others are passed over
 * without being made into text: a source can have millions.
 */
export function* sourceLines(
  content: Buffer,
  isRead: (content: Buffer, at: number) => boolean = () => true,
): Generator<SourceLine, void, undefined> {
  const mark = content.subarray(0, 3).equals(byteOrderMark) ? 3 : 0
  let number = 1
  for (let start = 0; start < content.length; number++) {
    const found = findLineEnd(content, start)
    const end = found === -1 ? content.length : found + 1
    const textStart = start === 0 ? mark : start
    if (isRead(content, textStart)) {
      let textEnd = found === -1 ? end : found
      if (textEnd > textStart && content[textEnd - 1] === cr) textEnd--
      const text = content.toString('utf8', textStart, textEnd)
      yield { number, start, end, text, textStart }
    }
    start = end
  }
}

/** -1 where the last line has none. Lines are short: a loop finds it sooner than a call of `indexOf`. */
function findLineEnd(content: Buffer, from: number): number {
  for (let at = from; at < content.length; at++) if (content[at] === lf) return at
  return -1
}

/** Byte at which a column of a line begins. */
export function byteAt({ text, textStart }: SourceLine, column: number): number {
  return textStart + Buffer.byteLength(text.slice(0, column - 1))
}

/** What ends the lines of a file: as the last line that has an end. */
export function lineEndOf(content: Buffer): string {
  const last = content.lastIndexOf(lf)
  return last > 0 && content[last - 1] === cr ? '\r\n' : '\n'
}

/** True where what is added must begin a line of its own first. */
export function needsLineEnd(content: Buffer): boolean {
  const isEmpty = content.length === 0 || content.equals(byteOrderMark)
  return !isEmpty && content.at(-1) !== lf
}
