/**
 * How many octets copying has taken of each server, by day, in the state database. What is added is
 * durable when `add` returns, and counted with what other processes have added.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { openTables } from './open-tables.ts'
import { unusable } from './state.ts'

const table = `
  CREATE TABLE IF NOT EXISTS copy_day (
    server TEXT NOT NULL,
    day TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (server, day)
  ) STRICT, WITHOUT ROWID;
`

/** Days that are kept to be looked at. */
const daysKept = 31

/** Of one server on one day, as YYYY-MM-DD. */
export interface ServerDay {
  readonly server: string
  readonly day: string
}

export class DayLedger implements Disposable {
  readonly #path: string
  readonly #database: SqliteDatabase

  private constructor(path: string, database: SqliteDatabase) {
    this.#path = path
    this.#database = database
  }

  /** Throws STATE_DAMAGED and STATE_UNUSABLE. */
  static open(stateDir: string): Promise<DayLedger> {
    return openTables(stateDir, prepare, (path, database) => new DayLedger(path, database))
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Adds `bytes`, unless there would be more than `most` then. Throws STATE_UNUSABLE. */
  add(of: ServerDay, bytes: number, most = Number.POSITIVE_INFINITY): boolean {
    try {
      return transact(this.#database, () => {
        const sum = this.#read(of) + bytes
        if (sum > most) return false
        const { server, day } = of
        this.#database
          .prepare('INSERT OR REPLACE INTO copy_day VALUES (?, ?, ?)')
          .run(server, day, Math.max(0, Math.round(sum)))
        const old = 'SELECT day FROM copy_day WHERE server = ? ORDER BY day DESC LIMIT -1 OFFSET ?'
        this.#database
          .prepare(`DELETE FROM copy_day WHERE server = ? AND day IN (${old})`)
          .run(server, server, daysKept)
        return true
      })
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }

  /** Throws STATE_UNUSABLE. */
  taken(of: ServerDay): number {
    try {
      return this.#read(of)
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }

  #read({ server, day }: ServerDay): number {
    const query = 'SELECT bytes FROM copy_day WHERE server = ? AND day = ?'
    return Number(this.#database.prepare(query).get(server, day)?.['bytes'] ?? 0)
  }
}

function prepare(database: SqliteDatabase): void {
  database.exec(table)
}
