/** One form of map that other software has: how it is read, and how ours is written in it. */
import assert from 'node:assert/strict'
import type { Position } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import type { MapRecord } from '../map-record.ts'
import type { PatternSource, RuleSource } from '../rule.ts'
import type { QueryKey } from '../../mail/query-key.ts'
import type { Resolution } from '../../mail/route.ts'
import type { Entry } from '../place.ts'
import type { Fact, Note } from './fact.ts'

export interface ParseInput {
  readonly file: string
  /** Without a byte order mark. */
  readonly text: string
  /** For forms that name users and no server. */
  readonly backend: string | undefined
}

export interface Parsed {
  readonly facts: readonly Fact[]
  readonly notes: readonly Note[]
}

/** A map that is being exported. */
export interface ExportedMap {
  readonly config: Config
  readonly rules: readonly RuleSource[]
  readonly patterns: readonly PatternSource[]
  readonly queryKeys: readonly QueryKey[]
  /** Anew with each call. */
  records(): Iterable<MapRecord>
  readonly find: (key: string) => Entry | undefined
  /** Where logins of a name go, as it is typed; undefined where nobody can type it. */
  readonly login: (name: string) => Resolution | undefined
}

/** A line of text, or something that the form has no words for. */
export type Printed = string | Note

export interface MapFormat {
  readonly name: string
  readonly summary: string
  /** Nothing is thrown. */
  readonly parse?: (input: ParseInput) => Parsed
  readonly print?: (map: ExportedMap) => Iterable<Printed>
}

export interface TextLine {
  readonly text: string
  readonly at: Position
  /** Of an entry of several lines: where in `text` each of the later ones begins. */
  readonly more?: readonly LineStart[]
}

interface LineStart {
  readonly offset: number
  readonly at: Position
}

/** Lines without what ends them; those that begin with `#` and empty ones are left out. */
export function* entryLines({ file, text }: ParseInput): Generator<TextLine, void, undefined> {
  for (let [from, line] = [0, 1]; from < text.length; line++) {
    const lf = text.indexOf('\n', from)
    const end = lf === -1 ? text.length : lf
    const own = text.slice(from, text[end - 1] === '\r' && end > from ? end - 1 : end)
    if (!/^\s*(?:#|$)/.test(own)) yield { text: own, at: { file, line, column: 1 } }
    from = end + 1
  }
}

/** Entries whose lines are continued by lines that begin with a blank. */
export function* continuedLines(input: ParseInput): Generator<TextLine, void, undefined> {
  let open: TextLine[] = []
  for (const line of entryLines(input)) {
    if (open.length > 0 && !/^\s/.test(line.text)) {
      yield joined(open)
      open = []
    }
    open.push(line)
  }
  if (open.length > 0) yield joined(open)
}

function joined(lines: readonly TextLine[]): TextLine {
  const [first = assert.fail(), ...others] = lines
  if (others.length === 0) return first
  const parts = [first.text.trimEnd()]
  const more: LineStart[] = []
  let offset = parts[0]?.length ?? 0
  for (const { text, at } of others) {
    const own = text.trim()
    more.push({ offset: offset + 1, at: { ...at, column: text.indexOf(own) + 1 } })
    parts.push(own)
    offset += own.length + 1
  }
  return { text: parts.join(' '), at: first.at, more }
}

/** Where the character at an offset of an entry stands. */
function placeIn({ at, more = [] }: TextLine, offset: number): Position {
  const start = more.findLast((one) => one.offset <= offset) ?? { offset: 0, at }
  return { ...start.at, column: start.at.column + offset - start.offset }
}

/** Gathers what a parser finds. */
export class Findings implements Parsed {
  readonly facts: Fact[] = []
  readonly notes: Note[] = []

  /** Tells of what is carried over, but not by itself. */
  carry({ text, at }: TextLine, reason: string): void {
    this.notes.push({ at, about: shorten(text, 80), reason, isCarried: true })
  }

  /** `offset`: where in the line the reason is. */
  note(line: TextLine, reason: string, offset = 0): void {
    this.notes.push({
      at: placeIn(line, offset),
      about: shorten(line.text, 80),
      reason: shorten(reason, 300),
    })
  }
}

/** The beginning of a text, for a message. */
function shorten(text: string, limit: number): string {
  const own = text.slice(0, 4 * limit).trim()
  return own.length > limit ? `${own.slice(0, limit)}…` : own
}
