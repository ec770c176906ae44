/** Edits of Sendmail aliases: one name, its targets on its line and on those that continue it. */
import type { Naming } from '../../mail/address.ts'
import { parseKey } from '../key.ts'
import { divideAliasLine, divideTargets, isIgnored, type Token } from '../sources/line-grammar.ts'
import { planAppend, planSplices, type SourceEdit, type Splice } from '../state/source-edit.ts'
import { mayBeginKey, planWithout, type SourceEnd } from './keyed-edit.ts'
import { byteAt, lineEndOf, needsLineEnd, type SourceLine, sourceLines } from './source-lines.ts'

export interface AliasSource {
  readonly file: string
  readonly content: Buffer
}

/** A line of an alias with its targets. */
interface TargetLine {
  readonly line: SourceLine
  readonly tokens: readonly Token[]
}

export interface FoundAlias {
  /** The line of the name, then those that continue it and hold targets. */
  readonly lines: readonly TargetLine[]
}

const widthLimit = 78

/** Every place at which the alias stands. */
export function findAlias({ content }: AliasSource, key: string, naming: Naming): FoundAlias[] {
  const mayBegin = mayBeginKey(key)
  const found: { lines: TargetLine[] }[] = []
  let open: { lines: TargetLine[] } | undefined
  const isRead = (_: Buffer, at: number): boolean => {
    const byte = content[at] as number
    if (isContinued(byte)) return open !== undefined
    // A line that begins in the first column ends the alias before it, unless it is a comment.
    if (!isLineOfNone(byte)) open = undefined
    return mayBegin(content, at)
  }
  for (const line of sourceLines(content, isRead)) {
    if (isIgnored(line.text)) continue
    if (isContinued(content[line.textStart])) {
      open?.lines.push({ line, tokens: divideTargets(line.text, 1) })
      continue
    }
    const divided = divideAliasLine(line.text)
    const parsed = divided && parseKey(divided.name, naming)
    if (divided === undefined || parsed === undefined || !('key' in parsed)) continue
    if (parsed.key !== key) continue
    const tokens = divideTargets(line.text.slice(divided.column - 1), divided.column)
    open = { lines: [{ line, tokens }] }
    found.push(open)
  }
  return found
}

/** Adds targets after the last one. */
export function planTargets(
  { file, content }: AliasSource,
  alias: FoundAlias,
  targets: readonly string[],
): SourceEdit {
  const last = alias.lines.findLast(({ tokens }) => tokens.length > 0) ?? alias.lines[0]
  if (last === undefined) throw new TypeError('an alias without a line')
  const token = last.tokens.at(-1)
  const added = targets.join(', ')
  const at =
    token === undefined ? byteAt(last.line, last.line.text.length + 1) : afterToken(last, token)
  if (token === undefined) {
    const insert = Buffer.from(/\s$/.test(last.line.text) ? added : ` ${added}`)
    return planSplices(file, content, [{ at, removeBytes: 0, insert }])
  }
  if (last.line.text.trimEnd().length + 2 + added.length <= widthLimit) {
    return planSplices(file, content, [{ at, removeBytes: 0, insert: Buffer.from(`, ${added}`) }])
  }
  const insert = Buffer.from(`,${lineEndOf(content)}${indentOf(alias)}${added}`)
  const shift = { line: last.line.number + 1, delta: 1 }
  return planSplices(file, content, [{ at, removeBytes: 0, insert }], [shift])
}

function isContinued(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x09
}

/** Of a comment, or of an empty line. */
function isLineOfNone(byte: number): boolean {
  return byte === 0x23 || byte === 0x0a || byte === 0x0d
}

function afterToken({ line }: TargetLine, { column, text }: Token): number {
  return byteAt(line, column + text.length)
}

/** As the lines of this alias that are continued; else under its first target. */
function indentOf({ lines: [first, second] }: FoundAlias): string {
  const continued = second && /^\s+/.exec(second.line.text)?.[0]
  return continued ?? ' '.repeat((first?.tokens[0]?.column ?? 5) - 1)
}

/** Takes the alias out, with the lines that continue it; comments between them stay. */
export function planWithoutAlias(source: AliasSource, found: readonly FoundAlias[]): SourceEdit {
  return planWithout(
    source,
    found.flatMap(({ lines }) => lines.map(({ line }) => line)),
  )
}

/** Takes targets out; `isGone` tells which. Some must stay. */
export function planWithoutTargets(
  { file, content }: AliasSource,
  alias: FoundAlias,
  isGone: (token: Token) => boolean,
): SourceEdit {
  const splices: Splice[] = []
  const emptied: SourceLine[] = []
  const lastKept = alias.lines.findLast(({ tokens }) => tokens.some((token) => !isGone(token)))
  for (const [index, target] of alias.lines.entries()) {
    const { line, tokens } = target
    const kept = tokens.filter((token) => !isGone(token))
    const isAllGone = kept.length === 0 && tokens.length > 0
    if (isAllGone && index > 0) {
      emptied.push(line)
      splices.push({ at: line.start, removeBytes: line.end - line.start, insert: Buffer.alloc(0) })
    } else if (kept.length < tokens.length || target === lastKept) {
      splices.push(rewriteTargets(target, kept, target === lastKept))
    }
  }
  const shifts = emptied.map(({ number }, index) => ({ line: number - index, delta: -1 }))
  return planSplices(
    file,
    content,
    splices.filter(({ removeBytes, insert }) => removeBytes + insert.length > 0),
    shifts,
  )
}

/** The targets of one line as they are to be; a comma at the end only where more follow. */
function rewriteTargets(
  { line, tokens }: TargetLine,
  kept: readonly Token[],
  isLast: boolean,
): Splice {
  const [first] = tokens
  if (first === undefined) return { at: line.start, removeBytes: 0, insert: Buffer.alloc(0) }
  const at = byteAt(line, first.column)
  const end = byteAt(line, line.text.trimEnd().length + 1)
  const hadComma = line.text.trimEnd().endsWith(',')
  if (kept.length === tokens.length && !(isLast && hadComma)) {
    return { at, removeBytes: 0, insert: Buffer.alloc(0) }
  }
  const comma = hadComma && !isLast && kept.length > 0 ? ',' : ''
  const text = kept.map((token) => token.text).join(', ')
  return { at, removeBytes: end - at, insert: Buffer.from(text + comma) }
}

/** Adds an alias at the end. */
export function planAlias(
  { file, sizeBytes, tail }: Omit<SourceEnd, 'separator'>,
  name: string,
  targets: readonly string[],
): SourceEdit {
  const lineEnd = lineEndOf(tail)
  const head = `${name}:`
  const above = [...sourceLines(tail)]
    .slice(1)
    .filter(({ text }) => !isIgnored(text) && !/^\s/.test(text))
    .flatMap(({ text }) => {
      const divided = divideAliasLine(text)
      const [first] = divided ? divideTargets(text.slice(divided.column - 1), divided.column) : []
      return first === undefined ? [] : [first.column]
    })
  const column = above.at(-1) === above.at(-2) ? (above.at(-1) ?? 0) : 0
  const gap = ' '.repeat(Math.max(1, column - 1 - head.length))
  const text = wrap(`${head}${gap}`, targets, lineEnd)
  const begin = needsLineEnd(tail) ? lineEnd : ''
  return planAppend(file, sizeBytes, tail, Buffer.from(`${begin}${text}${lineEnd}`))
}

function wrap(head: string, targets: readonly string[], lineEnd: string): string {
  const indent = ' '.repeat(Math.min(head.length, 24))
  let [text, width] = [head, head.length]
  for (const [index, target] of targets.entries()) {
    const comma = index < targets.length - 1 ? ',' : ''
    if (index > 0 && width + target.length + 2 > widthLimit) {
      text += lineEnd + indent
      width = indent.length
    } else if (index > 0) {
      text += ' '
      width++
    }
    text += target + comma
    width += target.length + comma.length
  }
  return text
}
