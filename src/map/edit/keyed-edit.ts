/** Edits of `user_map` and `popmap`: one key and one value a line. */
import type { Naming } from '../../mail/address.ts'
import { lowered } from '../database/byte-search.ts'
import { parseKey } from '../key.ts'
import { divideKeyedLine, isIgnored, type Separator } from '../sources/line-grammar.ts'
import { type LineShift, planAppend, planSplices, type SourceEdit } from '../state/source-edit.ts'
import { byteAt, lineEndOf, needsLineEnd, type SourceLine, sourceLines } from './source-lines.ts'

export interface KeyedSource {
  readonly file: string
  readonly content: Buffer
  readonly separator: Separator
}

/** A line that says something of the key. */
export interface FoundValue {
  readonly line: SourceLine
  readonly value: string
  readonly valueColumn: number
}

/** Every line of a key, however it is spelled there. */
export function findKey(
  { content, separator }: KeyedSource,
  key: string,
  naming: Naming,
): FoundValue[] {
  const found: FoundValue[] = []
  for (const line of sourceLines(content, mayBeginKey(key))) {
    const divided = isIgnored(line.text) ? undefined : divideKeyedLine(line.text, separator)
    if (divided === undefined) continue
    const parsed = parseKey(divided.key, naming)
    if ('key' in parsed && parsed.key === key) found.push({ line, ...divided })
  }
  return found
}

/**
 * Whether a line that begins at a byte may be of the key: it begins with its name in letters of
 * either case, or with a quote, or there is something before the end of the name that is not ASCII.
 */
export function mayBeginKey(key: string): (content: Buffer, at: number) => boolean {
  const name = Buffer.from(key.slice(0, key.lastIndexOf('@') || 1)).map(lowered)
  return (content, at) => {
    if (content[at] === 0x22) return true
    for (let index = 0; index < name.length; index++) {
      const byte = content[at + index] ?? 0
      if (byte >= 0x80 || (name[index] as number) >= 0x80) return true
      if (lowered(byte) !== name[index]) return false
    }
    return true
  }
}

/** Gives the lines another value; all else of them stays. */
export function planValue(
  { file, content }: KeyedSource,
  found: readonly FoundValue[],
  value: string,
): SourceEdit {
  const splices = found.map((one) => ({
    at: byteAt(one.line, one.valueColumn),
    removeBytes: Buffer.byteLength(one.value),
    insert: Buffer.from(value),
  }))
  return planSplices(file, content, splices)
}

/** Takes whole lines out. */
export function planWithout(
  { file, content }: Pick<KeyedSource, 'file' | 'content'>,
  lines: readonly SourceLine[],
): SourceEdit {
  const splices = lines.map(({ start, textStart, end }) => {
    // A byte order mark belongs to the file, not to its first line.
    const at = start === 0 ? textStart : start
    return { at, removeBytes: end - at, insert: Buffer.alloc(0) }
  })
  return planSplices(file, content, splices, shiftsWithout(lines))
}

/** Each line taken out moves those after it; they are counted as the ones before left them. */
function shiftsWithout(lines: readonly SourceLine[]): LineShift[] {
  return lines.map(({ number }, index) => ({ line: number - index, delta: -1 }))
}

/** The end of a source, for adding to it without reading the whole. */
export interface SourceEnd {
  readonly file: string
  readonly sizeBytes: number
  /** Its last bytes, some lines of them at least. */
  readonly tail: Buffer
  readonly separator: Separator
}

/** Adds a line at the end, its value in line with those above. */
export function planLine(source: SourceEnd, key: string, value: string): SourceEdit {
  const { file, sizeBytes, tail, separator } = source
  const lineEnd = lineEndOf(tail)
  const written = separator === 'colon' ? `${key}:` : key
  const gap = gapFor(written, entriesOf(tail, separator))
  const text = `${needsLineEnd(tail) ? lineEnd : ''}${written}${gap}${value}${lineEnd}`
  return planAppend(file, sizeBytes, tail, Buffer.from(text))
}

interface Entry {
  readonly head: string
  readonly gap: string
}

function entriesOf(tail: Buffer, separator: Separator): Entry[] {
  // The first line may be half of one.
  const lines = [...sourceLines(tail)].slice(1).filter(({ text }) => !isIgnored(text))
  return lines.slice(-8).flatMap(({ text }) => {
    const value = divideKeyedLine(text, separator)
    if (value === undefined) return []
    const before = text.slice(0, value.valueColumn - 1)
    const head = before.trimEnd()
    return [{ head, gap: before.slice(head.length) }]
  })
}

/** What stands between key and value: as above it, to the same column where values have one. */
function gapFor(written: string, above: readonly Entry[]): string {
  const last = above.at(-1)
  if (last === undefined) return written.endsWith(':') ? '' : '\t'
  if (last.gap.includes('\t')) return last.gap
  const columns = new Set(above.map(({ head, gap }) => head.length + gap.length))
  const [column] = columns
  if (columns.size > 1 || above.length === 1 || column === undefined) return last.gap
  const least = written.endsWith(':') && last.gap === '' ? 0 : 1
  return ' '.repeat(Math.max(least, column - written.length))
}
