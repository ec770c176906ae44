/** What the readers of all sources share during one build. */
import type { Position } from '../../base/position.ts'
import type { Naming } from '../../mail/address.ts'
import type { BackendTable } from '../backend-table.ts'
import type { DatabaseWriter } from '../database/database-writer.ts'
import type { Lookalikes } from '../lookalikes.ts'
import type { Problems } from '../problems.ts'
import type { Usage } from '../usage.ts'

export interface SourceContext {
  readonly naming: Naming
  readonly backends: BackendTable
  readonly smarthost: string | undefined
  readonly problems: Problems
  readonly writer: DatabaseWriter
  /** Keys of user_map that are forwarded, to be checked as aliases are. */
  readonly forwards: Forward[]
  readonly lookalikes: Lookalikes
  readonly usage: Usage
  /** Takes every byte that is read, so that another build can tell whether sources changed. */
  addToDigest(bytes: Uint8Array | string): void
  readonly noteSource: NoteSource
  /** Ends the build. */
  readonly signal: AbortSignal | undefined
}

/** Is told of a file or directory, by its path, before it is read. */
export type NoteSource = (path: string) => Promise<void>

/** What readers of lines need; threads have it as well. */
export interface LineContext
  extends Pick<SourceContext, 'naming' | 'backends' | 'smarthost' | 'usage'> {
  readonly problems: Pick<Problems, 'error' | 'warn'>
  readonly writer: Pick<DatabaseWriter, 'addPlainUser' | 'addUser' | 'values'>
  readonly forwards: { push(forward: Forward): unknown }
  readonly lookalikes: Pick<Lookalikes, 'note'>
}

/** A user whose mail goes on to another address. */
export interface Forward {
  readonly key: string
  readonly target: string
  readonly at: Position
}

export interface SourceFile {
  readonly path: string
  /** Number of the file in the database. */
  readonly number: number
  /** The path is the URL of a database, and rows stand for lines: they have no columns. */
  readonly hasRows?: boolean
}

export function positionIn({ path, hasRows }: SourceFile, line: number, column = 1): Position {
  return { file: path, line, column: hasRows === true ? 1 : column }
}

/** True for a place in a database: its URL is the file, and files have absolute paths. */
export function isInDatabase({ file }: Position): boolean {
  return /^[a-z]+:\/\//.test(file)
}

/** A piece of a source for a message: short, and without control characters. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}
