/**
 * Overrides as lookups see them: in memory, and looked at anew no more than once in a turn of the
 * event loop, where the state database tells that something was written. Whatever happens to the
 * file, what was read of it stays in force: the problem is reported once, until reading works again.
 */
import { inodeOf } from '../../storage/random-access.ts'
import type { MailmuxError } from '../../base/error.ts'
import type { Position } from '../../base/position.ts'
import { openSqliteToRead, type SqliteDatabase } from '../../storage/sqlite.ts'
import type { Entry, SourceName } from '../place.ts'
import type { LineShift } from './source-edit.ts'
import { versionOf } from './state-schema.ts'
import { unusable } from './state.ts'

/** The newest override of a key. */
export interface KnownOverride {
  readonly entry: Entry | undefined
  readonly generation: number
}

export interface OverrideReaderOptions {
  readonly path: string
  /** Generation of the base: overrides up to it are in the base. */
  readonly base: number
  /** Changes of later generations are left out; all are taken where it is absent. */
  readonly upTo?: number
  readonly report?: (problem: MailmuxError) => void
}

/** How often it is looked whether another file has the name; monotonic milliseconds. */
const nameLookMs = 1_000

export class OverrideReader {
  /** The newest generation: of the base, or of the last change. */
  generation: number
  readonly byKey = new Map<string, KnownOverride>()
  hasBareKeys = false
  hasAliases = false
  hasForwards = false
  readonly #options: OverrideReaderOptions
  #database: SqliteDatabase | undefined
  #inode = 0
  /** In the order in which they were made. */
  #shifts: readonly (LineShift & { readonly generation: number; readonly file: string })[] = []
  #nameLookedAt = Number.NEGATIVE_INFINITY
  #dataVersion: unknown
  #readVersion: (() => unknown) | undefined
  /** Overrides up to this generation have been read from the open file. */
  #readUpTo: number
  #isFresh = false
  #reported = ''
  readonly #expire = (): void => {
    this.#isFresh = false
  }

  constructor(options: OverrideReaderOptions) {
    this.#options = options
    this.generation = options.base
    this.#readUpTo = options.base
  }

  /** Makes sure that what is known is of this turn of the event loop. */
  refresh(): void {
    if (this.#isFresh) return
    this.#isFresh = true
    setImmediate(this.#expire).unref()
    try {
      this.#follow()
      this.#reported = ''
    } catch (error) {
      this.close()
      const problem = unusable(this.#options.path, error)
      if (problem.message === this.#reported) return
      this.#reported = problem.message
      this.#options.report?.(problem)
    }
  }

  close(): void {
    this.#database?.close()
    this.#database = undefined
    this.#readVersion = undefined
    this.#dataVersion = undefined
  }

  /** Where a line of a source stands now that stood at `at` in a generation. */
  moved(at: Position, generation: number): Position {
    let { line } = at
    for (const shift of this.#shifts) {
      const isLater = shift.generation > generation && shift.file === at.file
      if (isLater && line >= shift.line) line += shift.delta
    }
    return line === at.line ? at : { ...at, line }
  }

  /** Where the line of an overridden key stands; undefined where that is not known. */
  place(key: string, source: SourceName): Position | undefined {
    const known = this.byKey.get(key)
    const row =
      known &&
      this.#database
        ?.prepare('SELECT places FROM override WHERE generation = ? AND key = ?')
        .get(known.generation, key)
    if (known === undefined || row === undefined) return undefined
    const places = JSON.parse(String(row['places'])) as Partial<Record<SourceName, Position>>
    const at = places[source]
    return at && this.moved(at, known.generation)
  }

  #follow(): void {
    const now = performance.now()
    if (this.#database === undefined || now - this.#nameLookedAt >= nameLookMs) {
      this.#nameLookedAt = now
      this.#openNamed()
    }
    const dataVersion = this.#readVersion?.()
    if (dataVersion === this.#dataVersion) return
    this.#readNew()
    this.#dataVersion = dataVersion
  }

  /** Opens the file that has the name now, unless it is open; none is nothing to read. */
  #openNamed(): void {
    const { path } = this.#options
    const inode = inodeOf(path)
    if (inode === undefined || (this.#database !== undefined && inode === this.#inode)) return
    this.close()
    const database = openSqliteToRead(path)
    this.#database = database
    this.#inode = inode
    this.#readUpTo = this.#options.base
    // Another command is making it.
    if (versionOf(database) === 0) return this.close()
    const statement = database.prepare('PRAGMA data_version')
    this.#readVersion = () => statement.get()?.['data_version']
  }

  #readNew(): void {
    const rows = this.#database
      ?.prepare(
        `SELECT generation, key, entry FROM override
         WHERE generation > ? AND generation <= ? ORDER BY generation`,
      )
      .all(this.#readUpTo, this.#options.upTo ?? Number.MAX_SAFE_INTEGER)
    for (const row of rows ?? []) {
      const generation = Number(row['generation'])
      const key = String(row['key'])
      const known = this.byKey.get(key)
      if (known !== undefined && known.generation >= generation) continue
      const text = row['entry']
      const entry = typeof text === 'string' ? (JSON.parse(text) as Entry) : undefined
      this.byKey.set(key, { entry, generation })
      if (key.endsWith('@')) this.hasBareKeys = true
      if (entry?.targets !== undefined) this.hasAliases = true
      if (entry?.delivery?.kind === 'forward') this.hasForwards = true
      this.#readUpTo = generation
      this.generation = Math.max(this.generation, generation)
    }
    const shifts = this.#database
      ?.prepare(
        'SELECT generation, file, line, delta FROM shift WHERE generation > ? ORDER BY rowid',
      )
      .all(this.#options.base)
    this.#shifts = (shifts ?? []).map((shift) => ({
      generation: Number(shift['generation']),
      file: String(shift['file']),
      line: Number(shift['line']),
      delta: Number(shift['delta']),
    }))
  }
}
