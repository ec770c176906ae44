/**
 * Takes whole responses to FETCH out of what a server says, and lets everything else pass as it came:
 * a short cut past a parser that makes many objects of each. RFC 9051 section 7.5.2.
 *
 * What is not written as servers write it passes, too, for a parser that knows all of the grammar.
 */

/** What one response tells of a message, as far as it does. */
export interface FetchedItems {
  uid: number
  /** As the server wrote them, between blanks. */
  flags?: string
  /** INTERNALDATE, as IMAP writes it. */
  date?: string
  sizeBytes?: number
  /** Octets of BODY[…]; none where it is NIL. */
  body?: Buffer
}

type Taker = (items: FetchedItems) => void

/** A response of which literals are still to come. */
interface Reading {
  readonly items: FetchedItems
  /** All of it so far, should it have to pass after all. */
  readonly raw: Buffer[]
  /** Octets of the body that are still to come. */
  left: number
  /** Where they are put, if not all of them came at once. */
  body: Buffer | undefined
}

const lineFeed = 0x0a
const carriageReturn = 0x0d
const closingBrace = 0x7d
/** A line that is longer is no answer to what we ask for. */
const mostLineBytes = 65_536
/** Of such a line, what is kept to see whether a literal follows it. */
const lineEndBytes = 32
/** More of them are no size of a literal. */
const mostDigits = 15
/** Larger ones pass: nobody asks for so much at once. */
const mostLiteralBytes = 8 * 1024 * 1024

/** A smaller part of the bytes that it came with does not keep them. */
const leastShare = 1 / 16

/** Octets of a line in which it can be seen whether it is an answer. */
const answerBytes = 40
const answerForm = /^\* \d+\s+FETCH/i
/** What comes before the items of a list, at its beginning and after a literal. */
const listForm = /^\* \d+ FETCH \(/i
const moreForm = /^ |^(?=\)$)/
const flag = String.raw`\\?[^ ()"{%*\]\\]+`
/** Each with what it tells; a literal ends its line. RFC 9051 section 9, `msg-att`. */
const itemForm = new RegExp(
  [
    String.raw`UID (\d{1,10})`,
    String.raw`FLAGS \(((?:${flag}(?: ${flag})*)?)\)`,
    String.raw`INTERNALDATE "([^"\\]*)"`,
    String.raw`RFC822\.SIZE (\d{1,15})`,
    String.raw`MODSEQ \(\d+\)`,
    String.raw`BODY\[(?:HEADER\.FIELDS \("?MESSAGE-ID"?\))?\](?:<\d+>)? (?:(NIL)|"([^"\\]*)"|~?\{(\d{1,10})\}$)`,
  ].join('|'),
  'iy',
)
const literalForm = /(\{?)(\d+)\}\r?\n$/
const printable = /^[ -~]*$/

export class FetchFilter {
  #taker: Taker | undefined
  /** An answer has passed: those after it are newer, and pass behind it. */
  #hasPassed = false
  /** Of a line that has not ended. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** The last of a line that passes before it has ended. */
  #longEnd: Buffer | undefined
  /** Octets of a literal that passes. */
  #passing = 0
  /** What comes next goes on with a response that passes. */
  #isWithin = false
  #reading: Reading | undefined
  /** Lines can no longer be told apart. */
  #isLost = false

  /** Who gets what is taken from now on; undefined: everything passes. */
  set taker(taker: Taker | undefined) {
    this.#taker = taker
    this.#hasPassed = false
  }

  get taker(): Taker | undefined {
    return this.#taker
  }

  /** Takes bytes that have come, which must stay as they are; returns those that pass, in their order. */
  pass(bytes: Buffer): readonly Buffer[] {
    const passed: Buffer[] = []
    let from = 0
    const passUntil = (end: number, next: number, instead: readonly Buffer[] = []): void => {
      if (end > from) passed.push(bytes.subarray(from, end))
      passed.push(...instead)
      from = next
    }
    for (let at = 0; at < bytes.length && !this.#isLost; ) {
      const start = at
      if (this.#passing > 0) {
        at = Math.min(at + this.#passing, bytes.length)
        this.#passing -= at - start
      } else if (this.#reading !== undefined && this.#reading.left > 0) {
        at = fill(this.#reading, bytes, at)
        passUntil(start, at)
      } else {
        at = bytes.indexOf(lineFeed, at) + 1 || bytes.length
        const piece = bytes.subarray(start, at)
        const isEnd = piece[piece.length - 1] === lineFeed
        if (this.#longEnd !== undefined) this.#goOn(piece, isEnd)
        else if (!isEnd) passUntil(start, at, this.#hold(piece))
        else {
          const line = this.#held.length === 0 ? piece : this.#release(piece)
          const instead = this.#line(line)
          if (instead !== undefined) passUntil(start, at, instead)
          else if (line !== piece) passUntil(start, at, [line])
        }
      }
    }
    passUntil(bytes.length, bytes.length)
    return passed
  }

  /** Keeps the beginning of a line; returns what passes, where it becomes too long. */
  #hold(piece: Buffer): readonly Buffer[] {
    this.#held.push(piece)
    this.#heldBytes += piece.length
    if (this.#heldBytes <= mostLineBytes) return []
    const line = this.#release()
    if (this.#reading !== undefined || isAnswer(line)) this.#hasPassed = true
    const passed = [...(this.#reading?.raw ?? []), line]
    this.#reading = undefined
    this.#longEnd = passed.at(-1)?.subarray(-lineEndBytes)
    return passed
  }

  #release(...end: readonly Buffer[]): Buffer {
    const line = Buffer.concat([...this.#held, ...end])
    this.#held = []
    this.#heldBytes = 0
    return line
  }

  /** Follows a line that passes already. */
  #goOn(piece: Buffer, isEnd: boolean): void {
    const both = [this.#longEnd ?? piece, piece.subarray(-lineEndBytes)]
    const longEnd = Buffer.concat(both).subarray(-lineEndBytes)
    this.#longEnd = isEnd ? undefined : longEnd
    if (isEnd) this.#passes(longEnd)
  }

  /** Undefined: the line passes; else what passes in its stead. */
  #line(line: Buffer): readonly Buffer[] | undefined {
    const isFirst = this.#reading === undefined
    const isTaking = this.#taker !== undefined && !this.#hasPassed && !this.#isWithin
    if (isFirst && !(isTaking && isAnswer(line))) return this.#passes(line)
    const text = line.length > mostLineBytes + 1 ? '' : textOf(line)
    const reading = this.#reading ?? { items: { uid: 0 }, raw: [], left: 0, body: undefined }
    const { raw, items } = reading
    const end = readItems(text, isFirst ? listForm : moreForm, items)
    this.#reading = undefined
    if (end === undefined || end.literal > mostLiteralBytes) {
      this.#hasPassed = true
      this.#passes(line)
      return isFirst ? undefined : [...raw, line]
    }
    raw.push(line)
    if (!end.isEnd) {
      this.#reading = { items, raw, left: end.literal, body: undefined }
      if (end.literal === 0) items.body = Buffer.alloc(0)
      return []
    }
    // Of an update that nobody asked for the UID may not be told.
    if (items.uid > 0 && this.#taker !== undefined) {
      this.#taker(items)
      return []
    }
    this.#hasPassed = true
    return raw
  }

  /** Takes note of what follows a line that passes. */
  #passes(line: Buffer): undefined {
    this.#isWithin = false
    const last = line[line.length - 2] === carriageReturn ? line.length - 3 : line.length - 2
    if (line[last] !== closingBrace) return
    const found = literalForm.exec(line.subarray(-lineEndBytes).toString('latin1'))
    if (found === null) return
    const [whole, brace, padded = ''] = found
    const digits = padded.replace(/^0+(?=.)/, '')
    const isCut = brace === '' && whole.length === lineEndBytes
    this.#isLost = isCut || digits.length > mostDigits
    if (brace === '') return
    this.#isWithin = true
    this.#passing = Number(digits)
  }
}

/** Reads on in the octets of a body; returns where they have ended. */
function fill(reading: Reading, bytes: Buffer, at: number): number {
  const { items, raw, left } = reading
  const end = Math.min(at + left, bytes.length)
  reading.left -= end - at
  if (reading.body === undefined && reading.left === 0) {
    const body = bytes.subarray(at, end)
    // What came at once need not be copied.
    items.body = left < bytes.buffer.byteLength * leastShare ? Buffer.from(body) : body
    raw.push(items.body)
    return end
  }
  reading.body ??= Buffer.allocUnsafeSlow(left)
  const { body } = reading
  bytes.copy(body, body.length - left, at, end)
  if (reading.left === 0) {
    items.body = body
    raw.push(body)
  }
  return end
}

function isAnswer(line: Buffer): boolean {
  return answerForm.test(line.toString('latin1', 0, answerBytes))
}

function textOf(line: Buffer): string {
  const end = line[line.length - 2] === carriageReturn ? 2 : 1
  return line.toString('latin1', 0, line.length - end)
}

/** Where a line of a response ends: with it, or with the announcement of so many octets. */
interface LineEnd {
  readonly isEnd: boolean
  readonly literal: number
}

/** Of a line, after what comes before its items. Undefined: not understood. */
function readItems(text: string, before: RegExp, items: FetchedItems): LineEnd | undefined {
  const start = before.exec(text)?.[0].length
  if (start === undefined || !printable.test(text)) return undefined
  if (start === 0) return { isEnd: true, literal: 0 }
  for (let at = start; ; at++) {
    itemForm.lastIndex = at
    const found = itemForm.exec(text)
    if (found === null) return undefined
    const [whole, uid, flags, date, size, nil, quoted, literal] = found
    const hasBody = (nil ?? quoted ?? literal) !== undefined
    // So that no response can be without end.
    if (hasBody && items.body !== undefined) return undefined
    if (uid !== undefined) items.uid = Number(uid)
    else if (flags !== undefined) items.flags = flags
    else if (date !== undefined) items.date = date
    else if (size !== undefined) items.sizeBytes = Number(size)
    else if (nil !== undefined) items.body = Buffer.alloc(0)
    else if (quoted !== undefined) items.body = Buffer.from(quoted, 'latin1')
    else if (literal !== undefined) return { isEnd: false, literal: Number(literal) }
    at += whole.length
    if (text[at] === ')' && at === text.length - 1) return { isEnd: true, literal: 0 }
    if (text[at] !== ' ') return undefined
  }
}
