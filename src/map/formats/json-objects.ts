/**
 * Objects of a text: one a line, or the elements of one list, or the members of one object. Where
 * one is broken the others still count. Notes never repeat what was read: it may hold a password.
 */
import type { Position } from '../../base/position.ts'
import { entryLines, type Findings, type ParseInput } from './map-format.ts'

export type JsonObject = Readonly<Record<string, unknown>>

export interface FoundObject {
  readonly value: JsonObject
  readonly at: Position
}

export interface FoundMember extends FoundObject {
  readonly name: string
}

export function* jsonObjects(
  input: ParseInput,
  found: Findings,
): Generator<FoundObject, void, undefined> {
  const parts = input.text.trimStart().startsWith('[') ? divided(input, found) : entryLines(input)
  for (const { text, at } of parts) {
    const parsed = parse(text)
    if ('value' in parsed && isObject(parsed.value)) yield { value: parsed.value, at }
    else noteFault(found, at, 'column' in parsed ? parsed : undefined)
  }
}

export function* jsonMembers(
  input: ParseInput,
  found: Findings,
): Generator<FoundMember, void, undefined> {
  for (const { text, at } of divided(input, found)) {
    const parsed = parse(`{${text}}`)
    const members = 'value' in parsed && isObject(parsed.value) ? Object.entries(parsed.value) : []
    const [[name, value] = ['', undefined]] = members
    if (isObject(value)) yield { name, value, at }
    else {
      const fault = 'column' in parsed ? { ...parsed, column: parsed.column - 1 } : undefined
      noteFault(found, at, fault)
    }
  }
}

interface Fault {
  readonly line: number
  /** Counted from 1 within its line. */
  readonly column: number
}

function noteFault(found: Findings, at: Position, fault: Fault | undefined): void {
  const { line, column } = fault ?? { line: 1, column: 1 }
  const first = line === 1 ? at.column - 1 : 0
  const where = { ...at, line: at.line + line - 1, column: first + Math.max(column, 1) }
  const reason = fault === undefined ? 'it is no JSON object' : 'it is broken off, or no JSON'
  found.note({ text: '', at: where }, reason)
}

/** The place is told by V8 in words, and not with every fault: then it is where the text begins. */
function parse(text: string): { readonly value: unknown } | Fault {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch (error) {
    const { message } = error as Error
    const [, line = '1', column = '1'] = /\(line (\d+) column (\d+)\)/.exec(message) ?? []
    return { line: Number(line), column: Number(column) }
  }
}

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What stands between the commas of the outermost list or object, with its place. */
function* divided(
  { file, text }: ParseInput,
  found: Findings,
): Generator<{ text: string; at: Position }, void, undefined> {
  const places = new PlaceCounter(text)
  let end = 0
  for (const { from, to, isLast } of divide(text)) {
    const part = text.slice(from, to)
    const blanks = part.length - part.trimStart().length
    if (part.trim() !== '') yield { text: part.trim(), at: { file, ...places.at(from + blanks) } }
    if (isLast) end = to + 1
  }
  const rest = text.slice(end)
  if (end > 0 && rest.trim() === '') return
  const column = end === 0 ? text.trimEnd().length : end + rest.length - rest.trimStart().length
  const reason = end === 0 ? 'the text is broken off here' : 'more follows after its end'
  found.note({ text: '', at: { file, ...places.at(column) } }, reason)
}

interface Part {
  readonly from: number
  readonly to: number
  /** It is followed by the mark that closes the whole. */
  readonly isLast: boolean
}

function* divide(text: string): Generator<Part, void, undefined> {
  let [depth, from, isQuoted] = [0, 0, false]
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isQuoted) {
      if (character === '\\') index++
      else if (character === '"') isQuoted = false
    } else if (character === '"') isQuoted = true
    else if (character === '[' || character === '{') {
      if (depth++ === 0) from = index + 1
    } else if (character === ',' && depth === 1) {
      yield { from, to: index, isLast: false }
      from = index + 1
    } else if ((character === ']' || character === '}') && --depth === 0) {
      yield { from, to: index, isLast: true }
      return
    }
  }
  if (depth > 0) yield { from, to: text.length, isLast: false }
}

/** Lines and columns of places that are asked for in their order. */
class PlaceCounter {
  readonly #text: string
  #line = 1
  #lineStart = 0

  constructor(text: string) {
    this.#text = text
  }

  at(index: number): { line: number; column: number } {
    for (;;) {
      const end = this.#text.indexOf('\n', this.#lineStart)
      if (end === -1 || end >= index) break
      this.#line++
      this.#lineStart = end + 1
    }
    return { line: this.#line, column: index - this.#lineStart + 1 }
  }
}
