/** The state database as those read it who only look up. */
import type { Position } from '../../base/position.ts'
import { openSqliteToRead, type SqliteDatabase } from '../../storage/sqlite.ts'
import type { Entry, SourceName } from '../place.ts'
import { copyTables } from './copy-schema.ts'
import type { LineShift } from './source-edit.ts'
import { checkRow, hasTables } from './state-schema.ts'
import { type FindUidls, type UidlOwner, uidlsIn } from './uidl-store.ts'
import type { UidlTable } from './uidl-table.ts'

/** What a change says of a key; no entry: the key is gone. */
export interface ReadOverride {
  readonly key: string
  readonly generation: number
  readonly entry: Entry | undefined
}

export interface ReadShift extends LineShift {
  readonly generation: number
  readonly file: string
}

const overrideColumns = ['generation', 'key', 'entry', 'places'] as const

/** Throws what SQLite reports, and STATE_DAMAGED where a row is not what was written. */
export class StateFile {
  /** Of the file; one that is made anew has another. */
  readonly id: string
  /** False: what others write is seen only where the file is opened again. */
  readonly isLive: boolean
  /** Grows, or not, with each change that others have written. */
  readonly readVersion: () => unknown
  readonly #path: string
  readonly #database: SqliteDatabase
  #findUidls: FindUidls | undefined
  #withoutUidlsAt: unknown

  private constructor(path: string, database: SqliteDatabase, isLive: boolean) {
    const version = database.prepare('PRAGMA data_version')
    this.readVersion = () => version.get()?.['data_version']
    this.id = String(database.prepare('SELECT id FROM identity').get()?.['id'])
    this.isLive = isLive
    this.#path = path
    this.#database = database
  }

  /** Undefined where it holds no tables (yet). */
  static open(path: string, waitMs: number): StateFile | undefined {
    const { database, isLive } = openSqliteToRead(path, waitMs, copyTables)
    try {
      if (hasTables(database)) return new StateFile(path, database, isLive)
    } catch (error) {
      database.close()
      throw error
    }
    database.close()
    return undefined
  }

  /** The last generation that it knows of; 0 where it knows none. */
  get newest(): number {
    const row = this.#database.prepare('SELECT max(generation) AS newest FROM history').get()
    return Number(row?.['newest'] ?? 0)
  }

  /** In the order of their generations. */
  overrides(after: number, upTo: number): ReadOverride[] {
    const rows = this.#database
      .prepare(
        `SELECT ${overrideColumns.join()}, sum FROM override
         WHERE generation > ? AND generation <= ? ORDER BY generation`,
      )
      .all(after, upTo)
    return rows.map((row) => {
      checkRow(this.#path, row, overrideColumns)
      const text = row['entry']
      const entry = typeof text === 'string' ? (JSON.parse(text) as Entry) : undefined
      return { key: String(row['key']), generation: Number(row['generation']), entry }
    })
  }

  /** In the order in which they were made. */
  shifts(after: number): ReadShift[] {
    const rows = this.#database
      .prepare(
        'SELECT generation, file, line, delta FROM shift WHERE generation > ? ORDER BY rowid',
      )
      .all(after)
    return rows.map((row) => ({
      generation: Number(row['generation']),
      file: String(row['file']),
      line: Number(row['line']),
      delta: Number(row['delta']),
    }))
  }

  /** Where the lines of a key stood after a change. */
  places(key: string, generation: number): Readonly<Partial<Record<SourceName, Position>>> {
    const row = this.#database
      .prepare('SELECT places FROM override WHERE generation = ? AND key = ?')
      .get(generation, key)
    return row === undefined ? {} : (JSON.parse(String(row['places'])) as Record<string, Position>)
  }

  /** `version`: as `readVersion` told it last; until it is another one, what was not there is not looked for. */
  uidls(owner: UidlOwner, version: unknown): UidlTable | undefined {
    if (this.#findUidls === undefined && version !== this.#withoutUidlsAt) {
      this.#findUidls = uidlsIn(this.#database, this.#path)
      this.#withoutUidlsAt = version
    }
    return this.#findUidls?.(owner)
  }

  close(): void {
    this.#database.close()
  }
}
