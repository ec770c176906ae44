/**
 * `user_map` and `popmap`: one key and one value a line, by the million. Lines of plain ASCII with a
 * key of ours and a value that was met before are taken as bytes; every other line goes the general
 * way, as text, with the same result.
 */
import type { RecordKind } from '../database/format.ts'
import type { PlainKey } from '../database/record-block.ts'
import { isTemplate } from '../fill-in.ts'
import { isWide, parseKey } from '../key.ts'
import { canonicalDomain } from '../../mail/domain.ts'
import { divideKeyedLine, isIgnored, type KeyedLine, type Separator } from './line-grammar.ts'
import { parseLoginValue, type ParsedValue, parseUserValue } from './parse-value.ts'
import type { ReadQuery } from './popmap-queries.ts'
import { decodeLine, forEachBlock, type TakeBlock } from './read-lines.ts'
import {
  type LineContext,
  positionIn,
  quote,
  type SourceContext,
  type SourceFile,
} from './source-context.ts'

/** How one of the two sources is written. */
export interface KeyedForm {
  readonly kind: Exclude<RecordKind, 'aliases'>
  readonly separator: Separator
  parseValue(text: string, context: LineContext): ParsedValue
  /** Reads keys that are no addresses. */
  readonly readKey?: ReadQuery
  /** Takes keys that stand for many logins; true where it did. */
  takePattern?(line: PatternLine): boolean
}

export interface PatternLine {
  readonly key: string
  readonly value: string
  readonly file: SourceFile
  readonly line: number
}

export const userMapForm: KeyedForm = {
  kind: 'user_map',
  separator: 'blank',
  parseValue: parseUserValue,
}

export const popmapForm: Omit<KeyedForm, 'takePattern'> = {
  kind: 'popmap',
  separator: 'colon',
  parseValue: parseLoginValue,
}

/** Returns how many lines the file has. */
export function readKeyedLines(
  file: SourceFile,
  form: KeyedForm,
  context: SourceContext,
): Promise<number> {
  return forEachBlock(file, context, keyedBlocks(file, form, context))
}

/** Takes blocks of lines that were read elsewhere. */
export function keyedBlocks(file: SourceFile, form: KeyedForm, context: SourceContext): TakeBlock {
  const reader = new KeyedLineReader(file, form, context)
  return (bytes, start, end, firstLine) => reader.take(bytes, start, end, firstLine)
}

const lf = 0x0a
const cr = 0x0d
const space = 0x20
const tab = 0x09
const atSign = 0x40
const colon = 0x3a
const cacheSlots = 1024
/** Longer parts go the general way, where they are measured exactly. */
const plainLimitBytes = 255

interface CachedValue {
  readonly text: KnownText
  readonly number: number
}

export class KeyedLineReader {
  readonly #file: SourceFile
  readonly #form: KeyedForm
  readonly #context: LineContext
  readonly #origin
  /** 1 for the bytes that a plain local part or domain is made of. */
  readonly #localBytes: Uint8Array
  readonly #domainBytes = plainBytes('-.')
  readonly #isColon: boolean
  readonly #cache: (CachedValue | undefined)[] = Array.from({ length: cacheSlots })
  /** Domains of ours as they were written, where they can be taken as bytes. */
  readonly #domains: (KnownText | undefined)[] = Array.from({ length: 64 })
  #key: PlainKey = { view: new DataView(new ArrayBuffer(0)), start: 0, end: 0, isBare: false }

  constructor(file: SourceFile, form: KeyedForm, context: LineContext) {
    this.#file = file
    this.#form = form
    this.#context = context
    this.#origin = { kind: form.kind, source: file.number, line: 0 }
    this.#isColon = form.separator === 'colon'
    this.#localBytes = plainBytes('-._')
    for (const byte of Buffer.from(context.naming.recipientDelimiter)) this.#localBytes[byte] = 0
    // Where case counts in names, only the general way knows what to fold.
    if (!context.naming.foldCase) this.#localBytes.fill(0, 0x41, 0x5b)
  }

  /** Takes whole lines, each ended by LF; returns how many. */
  take(bytes: Buffer, start: number, end: number, firstLine: number): number {
    const { view } = this.#key
    if (view.buffer !== bytes.buffer || view.byteOffset !== bytes.byteOffset) {
      const own = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      this.#key = { view: own, start: 0, end: 0, isBare: false }
    }
    let line = firstLine
    for (let from = start; from < end; line++) {
      this.#origin.line = line
      const next = this.#form.readKey ? -1 : this.#takePlain(bytes, from, this.#key)
      from = next === -1 ? this.#takeGeneral(bytes, from, line) : next
    }
    return line - firstLine
  }

  /** Where the next line begins; -1 where this one is not plain. */
  #takePlain(bytes: Buffer, start: number, key: PlainKey): number {
    const local = this.#localBytes
    let at = start
    while (local[bytes[at] as number] === 1) at++
    if (at === start || at - start > plainLimitBytes) return -1
    key.isBare = bytes[at] !== atSign
    if (!key.isBare) {
      const domainStart = ++at
      const domain = this.#domainBytes
      while (domain[bytes[at] as number] === 1) at++
      if (at - domainStart > plainLimitBytes) return -1
      if (!this.#isOurs(bytes, domainStart, at)) return -1
    }
    key.start = start
    key.end = at
    if (this.#isColon) {
      if (bytes[at] !== colon) return -1
      at++
    } else if (bytes[at] !== space && bytes[at] !== tab) return -1
    while (bytes[at] === space || bytes[at] === tab) at++
    const valueStart = at
    while ((bytes[at] as number) > space) at++
    const valueEnd = at
    while (bytes[at] === space || bytes[at] === tab) at++
    if (bytes[at] === cr) at++
    if (bytes[at] !== lf || valueEnd === valueStart) return -1
    const number = this.#numberOf(bytes, valueStart, valueEnd)
    if (number === 0) return -1
    this.#context.writer.addPlainUser(this.#origin, key, number)
    return at + 1
  }

  #isOurs(bytes: Buffer, start: number, end: number): boolean {
    const slot = ((end - start) * 31 + (bytes[start] as number) + (bytes[end - 1] as number)) & 63
    const known = this.#domains[slot]
    if (known?.isAt(this.#key.view, start, end) === true) return true
    const text = bytes.toString('latin1', start, end)
    const domain = canonicalDomain(text)
    // Only where lower case is all that makes it canonical.
    if (domain === undefined || domain !== text.toLowerCase()) return false
    if (!this.#context.naming.domains.has(domain)) return false
    this.#context.usage.domains.add(domain)
    this.#domains[slot] = new KnownText(bytes.subarray(start, end))
    return true
  }

  /** The number of a value that many users share and that gave no warning; else 0. */
  #numberOf(bytes: Buffer, start: number, end: number): number {
    const last = bytes[end - 1] as number
    const mixed = (end - start) * 131 + (bytes[start] as number) * 17 + last * 257
    const slot = (mixed + (bytes[end - 2] as number) * 71) % cacheSlots
    const cached = this.#cache[slot]
    if (cached?.text.isAt(this.#key.view, start, end) === true) return cached.number
    // Another name at a back-end, or another address: seldom the same twice.
    for (let at = start; at < end; at++) if (bytes[at] === atSign) return 0
    const own = bytes.subarray(start, end)
    const parsed = this.#form.parseValue(own.toString(), this.#context)
    if (!('value' in parsed) || parsed.warning !== undefined) return 0
    this.#context.usage.noteValue(this.#form.kind, parsed.value)
    const number = this.#context.writer.values.numberOf(parsed.value)
    this.#cache[slot] = { text: new KnownText(own), number }
    return number
  }

  /** Reads the line as text; returns where the next one begins. */
  #takeGeneral(bytes: Buffer, start: number, line: number): number {
    const end = bytes.indexOf(lf, start)
    const text = decodeLine(bytes.subarray(start, end), this.#file, line, this.#context)
    if (text !== undefined) this.#takeText(text, line)
    return end + 1
  }

  #takeText(text: string, line: number): void {
    const { problems } = this.#context
    if (isIgnored(text)) return
    if (/^\s/.test(text)) {
      const hint = 'a key begins in the first column; continued lines are only for aliases'
      problems.error('indented', positionIn(this.#file, line), 'the line begins with a blank', hint)
      return
    }
    const divided = divideKeyedLine(text, this.#form.separator)
    if (divided === undefined) {
      const form = this.#isColon ? 'key:[user@]server[:port]' : 'key, blank, value'
      const what = `${quote(text)} has no value`
      problems.error('no-value', positionIn(this.#file, line), what, `write ${form}`)
      return
    }
    this.#takeParts(divided, line)
  }

  #takeParts(parts: KeyedLine, line: number): void {
    const { problems, naming, writer, lookalikes, usage } = this.#context
    const { key: keyText, value: valueText, valueColumn } = parts
    const file = this.#file
    if (this.#form.takePattern?.({ key: keyText, value: valueText, file, line }) === true) return
    const key = this.#form.readKey?.(keyText) ?? parseKey(keyText, naming)
    if ('refused' in key) {
      problems.error('bad-key', positionIn(file, line), key.refused, key.hint)
    } else if ('isUnreachable' in key && key.isUnreachable === true) {
      const what = `query_key makes no key ${quote(keyText)}: the line has no effect`
      const hint = 'give map.query_key a template for it, or remove the line'
      problems.warn('unreachable-key', positionIn(file, line), what, hint)
    } else if (!naming.domains.has(key.address.domain)) {
      const what = `${key.address.domain} is no domain of ours: the line has no effect`
      const hint = 'add it to domains in the config, or remove the line'
      problems.warn('foreign-key', positionIn(file, line), what, hint)
    }
    const parsed = this.#form.parseValue(valueText, this.#context)
    const at = positionIn(file, line, valueColumn)
    if ('refused' in parsed) problems.error(parsed.code, at, parsed.refused, parsed.hint)
    else if (parsed.warning !== undefined) {
      problems.warn('other-port', at, parsed.warning, parsed.hint)
    }
    if (!('value' in parsed) || !('key' in key)) return
    lookalikes.note(key.key, positionIn(file, line))
    const { value } = parsed
    usage.noteKey(key)
    usage.noteValue(this.#form.kind, value)
    writer.addUser(this.#origin, key.key, value)
    // Where parts of names lead is known only when there is a name.
    const isKnown = !isWide(key.key) || !isTemplate(valueText)
    if (value.kind === 'forward' && isKnown) {
      this.#context.forwards.push({ key: key.key, target: value.address, at })
    }
  }
}

/** A table with 1 for ASCII letters, digits and the bytes of `others`. */
function plainBytes(others: string): Uint8Array {
  const table = new Uint8Array(256)
  for (let byte = 0; byte < 128; byte++) {
    const character = String.fromCharCode(byte)
    if (/[A-Za-z0-9]/.test(character) || others.includes(character)) table[byte] = 1
  }
  return table
}

/** A few bytes that are met again and again, to be compared four at a time. */
class KnownText {
  readonly #words: Int32Array
  readonly #lengthBytes: number
  readonly #rest: Uint8Array

  constructor(bytes: Uint8Array) {
    const whole = bytes.length - (bytes.length % 4)
    this.#lengthBytes = bytes.length
    this.#words = new Int32Array(Uint8Array.from(bytes.subarray(0, whole)).buffer)
    this.#rest = Uint8Array.from(bytes.subarray(whole))
  }

  isAt(view: DataView, start: number, end: number): boolean {
    if (end - start !== this.#lengthBytes) return false
    const words = this.#words
    let at = start
    for (let word = 0; word < words.length; word++, at += 4) {
      if (view.getInt32(at, true) !== words[word]) return false
    }
    const rest = this.#rest
    for (let byte = 0; at < end; byte++, at++) {
      if (view.getUint8(at) !== rest[byte]) return false
    }
    return true
  }
}
