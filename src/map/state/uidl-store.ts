/**
 * The UIDLs of mailboxes that were brought over, in the state database. A table is in force for logins
 * to its back-end alone: it may be written down before its user is sent there, and is of no harm where
 * that does not come about. It is durable when `put` returns.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { hasTable, prepareCopySchema } from './copy-schema.ts'
import { openTables } from './open-tables.ts'
import { unusable } from './state.ts'
import { checkRow, sumOf } from './state-schema.ts'
import { UidlTable } from './uidl-table.ts'

const columns = ['user', 'backend', 'pairs'] as const
const select = `SELECT ${columns.join()}, sum FROM uidl WHERE user = ? AND backend = ?`

/** Of which user, while the mailbox is at which back-end. */
export interface UidlOwner {
  readonly user: string
  readonly backend: string
}

export class UidlStore implements Disposable {
  readonly #path: string
  readonly #database: SqliteDatabase

  private constructor(path: string, database: SqliteDatabase) {
    this.#path = path
    this.#database = database
  }

  /** Throws STATE_DAMAGED and STATE_UNUSABLE. */
  static open(stateDir: string): Promise<UidlStore> {
    const take = (path: string, database: SqliteDatabase) => new UidlStore(path, database)
    return openTables(stateDir, prepareCopySchema, take)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Undefined where the user has none there. Throws STATE_DAMAGED and STATE_UNUSABLE. */
  find(owner: UidlOwner): UidlTable | undefined {
    try {
      return uidlsIn(this.#database, this.#path)?.(owner)
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }

  /** In place of the one that there was; undefined: none. Throws STATE_UNUSABLE. */
  put({ user, backend }: UidlOwner, table: UidlTable | undefined): void {
    this.#write(() => {
      this.#database.prepare('DELETE FROM uidl WHERE user = ? AND backend = ?').run(user, backend)
      if (table === undefined) return
      const row = [user, backend, table.text]
      const add = 'INSERT INTO uidl (user, backend, pairs, sum) VALUES (?, ?, ?, ?)'
      this.#database.prepare(add).run(...row, sumOf(row))
    })
  }

  /** Forgets what a user had at other back-ends. Throws STATE_UNUSABLE. */
  dropOthers({ user, backend }: UidlOwner): void {
    this.#write(() => {
      this.#database.prepare('DELETE FROM uidl WHERE user = ? AND backend <> ?').run(user, backend)
    })
  }

  #write(work: () => void): void {
    try {
      transact(this.#database, work)
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }
}

/** Throws what SQLite reports, and STATE_DAMAGED where a row is not what was written. */
export type FindUidls = (owner: UidlOwner) => UidlTable | undefined

/** Undefined where nothing was ever put. */
export function uidlsIn(database: SqliteDatabase, path: string): FindUidls | undefined {
  if (!hasTable(database, 'uidl')) return undefined
  const find = database.prepare(select)
  return ({ user, backend }) => {
    const row = find.get(user, backend)
    if (row === undefined) return undefined
    checkRow(path, row, columns)
    return new UidlTable(String(row['pairs']))
  }
}
