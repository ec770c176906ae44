/** Source files as blocks of whole lines, or line by line, with problems told where they are. */
import { isUtf8 } from 'node:buffer'
import {
  type LineContext,
  positionIn,
  type SourceContext,
  type SourceFile,
} from './source-context.ts'
import { type Finding, readPieces } from './source-pieces.ts'

/** Takes whole lines, each ended by LF; returns how many. */
export type TakeBlock = (bytes: Buffer, start: number, end: number, firstLine: number) => number

/**
 * Reads a file to its end, and returns how many lines it has; what is wrong with it as a file is
 * reported.
 */
export async function forEachBlock(
  file: SourceFile,
  context: SourceContext,
  take: TakeBlock,
): Promise<number> {
  let line = 1
  for await (const piece of readPieces(file.path, context)) {
    if (piece.kind === 'lines') line += take(piece.bytes, piece.start, piece.end, line)
    else if (piece.kind === 'skipped') line++
    else tellFinding(piece, file, line, context)
    await context.writer.settle()
  }
  return line - 1
}

/** `line` is that after the last piece. */
export function tellFinding(
  { kind, lines, code, what, hint }: Finding,
  file: SourceFile,
  line: number,
  { problems }: Pick<SourceContext, 'problems'>,
): void {
  const at = positionIn(file, lines === undefined ? 1 : line + lines)
  if (kind === 'error') problems.error(code, at, what, hint)
  else problems.warn(code, at, what, hint)
}

/** Calls `take` with the text of every line, without what ends it. */
export async function forEachLine(
  file: SourceFile,
  context: SourceContext,
  take: (text: string, line: number) => void,
): Promise<void> {
  await forEachBlock(file, context, (bytes, start, end, firstLine) => {
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
  { problems }: Pick<LineContext, 'problems'>,
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
