/**
 * Source files as blocks of whole lines, or line by line. LF and CRLF end a line, a byte order mark
 * is skipped; NUL bytes, lines that are too long and text that is not UTF-8 are reported.
 */
import { isUtf8 } from 'node:buffer'
import { messageOf } from '../../base/error.ts'
import { readChunks } from '../../storage/chunked-read.ts'
import { positionIn, type SourceContext, type SourceFile } from './source-context.ts'

const chunkBytes = 1 << 20
/** A longer line is a mistake, or no text. */
const lineLimitBytes = 1 << 20
const byteOrderMark = Buffer.from([0xef, 0xbb, 0xbf])

/** Takes whole lines, each ended by LF; returns how many. */
export type TakeBlock = (bytes: Buffer, start: number, end: number, firstLine: number) => number

/** Reads a file to its end; what is wrong with it as a file is reported. */
export async function forEachBlock(
  file: SourceFile,
  context: SourceContext,
  take: TakeBlock,
): Promise<void> {
  try {
    await new BlockReader(file, context, take).run()
  } catch (error) {
    // Anything else than what the system says is no fault of the file.
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    context.problems.error(
      'unreadable',
      positionIn(file, 1),
      `cannot be read: ${messageOf(error)}`,
      'check that the file exists and that this user may read it',
    )
  }
}

class BlockReader {
  readonly #file: SourceFile
  readonly #context: SourceContext
  readonly #take: TakeBlock
  #line = 1
  /** Within a line that is too long: what comes is thrown away until it ends. */
  #isSkipping = false
  #carry = Buffer.alloc(0)

  constructor(file: SourceFile, context: SourceContext, take: TakeBlock) {
    this.#file = file
    this.#context = context
    this.#take = take
  }

  async run(): Promise<void> {
    let isFirst = true
    await this.#context.noteSource(this.#file.path)
    for await (const chunk of readChunks(this.#file.path, chunkBytes, lineLimitBytes)) {
      this.#context.signal?.throwIfAborted()
      const { buffer, end } = chunk
      let { start } = chunk
      this.#context.addToDigest(buffer.subarray(start, end))
      if (isFirst && buffer.subarray(start, start + 3).equals(byteOrderMark)) start += 3
      isFirst = false
      if (this.#refuseBinary(buffer, start, end)) return
      this.#takeChunk(buffer, start, end)
      await this.#context.writer.settle()
    }
    if (isFirst) this.#warnEmpty()
    if (this.#carry.length > 0) {
      const last = Buffer.concat([this.#carry, Buffer.from('\n')])
      this.#take(last, 0, last.length, this.#line)
    }
  }

  #warnEmpty(): void {
    const { problems } = this.#context
    problems.warn('empty-source', positionIn(this.#file, 1), 'the file is empty')
  }

  #refuseBinary(buffer: Buffer, start: number, end: number): boolean {
    const found = buffer.subarray(start, end).indexOf(0)
    if (found === -1) return false
    const line = this.#line + countLines(buffer, start, start + found)
    this.#context.problems.error(
      'binary',
      positionIn(this.#file, line),
      'a NUL byte: this is no text file',
      'name the text source, not a compiled map; UTF-16 must become UTF-8',
    )
    return true
  }

  #takeChunk(buffer: Buffer, start: number, end: number): void {
    const lastLineEnd = buffer.lastIndexOf(0x0a, end - 1) + 1
    let from = start
    if (lastLineEnd <= start) return this.#keep(buffer.subarray(start, end))
    if (this.#isSkipping) {
      from = buffer.indexOf(0x0a, start) + 1
      this.#isSkipping = false
      this.#line++
    } else if (this.#carry.length > 0) {
      from = start - this.#carry.length
      this.#carry.copy(buffer, from)
    }
    this.#carry = Buffer.alloc(0)
    if (lastLineEnd > from) this.#line += this.#take(buffer, from, lastLineEnd, this.#line)
    return this.#keep(buffer.subarray(lastLineEnd, end))
  }

  #keep(rest: Buffer): void {
    if (this.#isSkipping || rest.length === 0) return
    if (this.#carry.length + rest.length <= lineLimitBytes) {
      this.#carry = Buffer.concat([this.#carry, rest])
      return
    }
    this.#isSkipping = true
    this.#carry = Buffer.alloc(0)
    this.#context.problems.error(
      'line-too-long',
      positionIn(this.#file, this.#line),
      `a line of more than ${lineLimitBytes} bytes`,
      'divide it, or check that this is the text source',
    )
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

/** Calls `take` with the text of every line, without what ends it. */
export function forEachLine(
  file: SourceFile,
  context: SourceContext,
  take: (text: string, line: number) => void,
): Promise<void> {
  return forEachBlock(file, context, (bytes, start, end, firstLine) => {
    let line = firstLine
    for (let from = start; from < end; line++) {
      const lineEnd = bytes.indexOf(0x0a, from)
      const text = decodeLine(bytes.subarray(from, lineEnd), file, line, context)
      if (text !== undefined) take(text, line)
      from = lineEnd + 1
    }
    return line - firstLine
  })
}

/** Undefined, and a problem, where the bytes are not UTF-8. */
export function decodeLine(
  bytes: Buffer,
  file: SourceFile,
  line: number,
  { problems }: SourceContext,
): string | undefined {
  const text =
    bytes.at(-1) === 0x0d ? bytes.toString('utf8', 0, bytes.length - 1) : bytes.toString()
  if (!text.includes('\ufffd') || isUtf8(bytes)) return text
  const column = text.indexOf('\ufffd') + 1
  problems.error(
    'not-utf8',
    positionIn(file, line, column),
    'the text is not UTF-8',
    'save the file as UTF-8',
  )
  return undefined
}
