/**
 * A source file as pieces of whole lines, in big blocks. A byte order mark is skipped; what is wrong
 * with the file as such (NUL bytes, lines that are too long, no file at all) is a piece as well.
 */
import { messageOf } from '../../base/error.ts'
import { type LeaseBuffer, readChunks } from '../../storage/chunked-read.ts'
import type { SourceContext } from './source-context.ts'

export const chunkBytes = 1 << 20
/** A longer line is a mistake, or no text. */
export const lineLimitBytes = 1 << 20
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

export type Piece =
  /** Whole lines, each ended by LF. */
  | {
      readonly kind: 'lines'
      readonly bytes: Buffer
      readonly start: number
      readonly end: number
    }
  /** A line that was too long has ended. */
  | { readonly kind: 'skipped' }
  | Finding

export interface Finding {
  readonly kind: 'error' | 'warning'
  /** How many lines after the last piece; undefined: it is about the file as a whole. */
  readonly lines: number | undefined
  readonly code: string
  readonly what: string
  readonly hint?: string
}

export interface PieceOptions extends Pick<SourceContext, 'noteSource' | 'signal'> {
  /** Takes every byte that is read. */
  readonly addToDigest: (bytes: Uint8Array) => void
  readonly lease?: LeaseBuffer
  /** Takes memory back that no piece is in. */
  readonly release?: (memory: Buffer) => void
}

export function readPieces(path: string, options: PieceOptions): AsyncGenerator<Piece, void> {
  return new PieceReader().read(path, options)
}

class PieceReader {
  /** Within a line that is too long: what comes is thrown away until it ends. */
  #isSkipping = false
  #carry = Buffer.alloc(0)

  async *read(path: string, options: PieceOptions): AsyncGenerator<Piece, void> {
    const { addToDigest, lease, release, signal } = options
    let isFirst = true
    await options.noteSource(path)
    try {
      for await (const chunk of readChunks(path, chunkBytes, lineLimitBytes, lease)) {
        signal?.throwIfAborted()
        const { buffer, end } = chunk
        let { start } = chunk
        addToDigest(buffer.subarray(start, end))
        if (isFirst && buffer.subarray(start, start + 3).equals(byteOrderMark)) start += 3
        isFirst = false
        const nul = buffer.subarray(start, end).indexOf(0)
        if (nul !== -1) {
          yield binary(countLines(buffer, start, start + nul))
          return
        }
        let isGiven = false
        for (const piece of this.#divide(buffer, start, end)) {
          isGiven ||= piece.kind === 'lines'
          yield piece
        }
        if (!isGiven) release?.(buffer)
      }
    } catch (error) {
      // Anything else than what the system says is no fault of the file.
      if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
      yield unreadable(messageOf(error))
      return
    }
    if (isFirst) {
      yield { kind: 'warning', lines: undefined, code: 'empty-source', what: 'the file is empty' }
    }
    if (this.#carry.length > 0) {
      const bytes = Buffer.concat([this.#carry, Buffer.from('\n')])
      yield { kind: 'lines', bytes, start: 0, end: bytes.length }
    }
  }

  *#divide(buffer: Buffer, start: number, end: number): Generator<Piece, void> {
    const lastLineEnd = buffer.lastIndexOf(0x0a, end - 1) + 1
    let from = start
    if (lastLineEnd <= start) return yield* this.#keep(buffer.subarray(start, end))
    if (this.#isSkipping) {
      from = buffer.indexOf(0x0a, start) + 1
      this.#isSkipping = false
      yield { kind: 'skipped' }
    } else if (this.#carry.length > 0) {
      from = start - this.#carry.length
      this.#carry.copy(buffer, from)
    }
    this.#carry = Buffer.alloc(0)
    // Before the piece is given away: its memory may be another's by then.
    const rest = Buffer.from(buffer.subarray(lastLineEnd, end))
    if (lastLineEnd > from) yield { kind: 'lines', bytes: buffer, start: from, end: lastLineEnd }
    return yield* this.#keep(rest)
  }

  *#keep(rest: Buffer): Generator<Piece, void> {
    if (this.#isSkipping || rest.length === 0) return
    if (this.#carry.length + rest.length <= lineLimitBytes) {
      this.#carry = Buffer.concat([this.#carry, rest])
      return
    }
    this.#isSkipping = true
    this.#carry = Buffer.alloc(0)
    yield {
      kind: 'error',
      lines: 0,
      code: 'line-too-long',
      what: `a line of more than ${lineLimitBytes} bytes`,
      hint: 'divide it, or check that this is the text source',
    }
  }
}

function binary(lines: number): Finding {
  return {
    kind: 'error',
    lines,
    code: 'binary',
    what: 'a NUL byte: this is no text file',
    hint: 'name the text source, not a compiled map; UTF-16 must become UTF-8',
  }
}

function unreadable(reason: string): Finding {
  return {
    kind: 'error',
    lines: undefined,
    code: 'unreadable',
    what: `cannot be read: ${reason}`,
    hint: 'check that the file exists and that this user may read it',
  }
}

function countLines(buffer: Buffer, start: number, end: number): number {
  let count = 0
  for (let at = buffer.indexOf(0x0a, start); at !== -1 && at < end; ) {
    count++
    at = buffer.indexOf(0x0a, at + 1)
  }
  return count
}
