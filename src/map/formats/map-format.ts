/** One form of map that other software has: how it is read, and how ours is written in it. */
import type { Position } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import type { MapRecord } from '../map-record.ts'
import type { PatternSource, RuleSource } from '../rule.ts'
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
}

/** Lines without what ends them; those that begin with `#` and empty ones are left out. */
export function* entryLines({ file, text }: ParseInput): Generator<TextLine, void, undefined> {
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(?:#|$)/.test(line)) continue
    yield { text: line, at: { file, line: index + 1, column: 1 } }
  }
}

/** Entries whose lines are continued by lines that begin with a blank. */
export function* continuedLines(input: ParseInput): Generator<TextLine, void, undefined> {
  let open: TextLine | undefined
  for (const line of entryLines(input)) {
    if (/^\s/.test(line.text) && open !== undefined) {
      open = { ...open, text: `${open.text.trimEnd()} ${line.text.trim()}` }
      continue
    }
    if (open !== undefined) yield open
    open = line
  }
  if (open !== undefined) yield open
}

/** Gathers what a parser finds. */
export class Findings implements Parsed {
  readonly facts: Fact[] = []
  readonly notes: Note[] = []

  note({ text, at }: TextLine, reason: string): void {
    const about = text.length > 80 ? `${text.slice(0, 80)}…` : text.trim()
    this.notes.push({ at, about, reason })
  }
}
