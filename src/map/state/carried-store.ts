/**
 * Which rights and annotations of a mailbox both of its back-ends have got from each other, in the
 * state database: what is gone at the one is taken away at the other only where it is named here.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { prepareCopySchema } from './copy-schema.ts'
import { openTables } from './open-tables.ts'
import { unusable } from './state.ts'
import { checkRow, sumOf } from './state-schema.ts'
import type { UidlOwner } from './uidl-store.ts'

const columns = ['user', 'backend', 'names'] as const

export class CarriedStore implements Disposable {
  readonly #path: string
  readonly #database: SqliteDatabase

  private constructor(path: string, database: SqliteDatabase) {
    this.#path = path
    this.#database = database
  }

  /** Throws STATE_DAMAGED and STATE_UNUSABLE. */
  static open(stateDir: string): Promise<CarriedStore> {
    const take = (path: string, database: SqliteDatabase) => new CarriedStore(path, database)
    return openTables(stateDir, prepareCopySchema, take)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** Throws STATE_DAMAGED. */
  find({ user, backend }: UidlOwner): ReadonlySet<string> {
    const query = `SELECT ${columns.join()}, sum FROM carried WHERE user = ? AND backend = ?`
    const row = this.#database.prepare(query).get(user, backend)
    if (row === undefined) return new Set()
    checkRow(this.#path, row, columns)
    return new Set(JSON.parse(String(row['names'])) as string[])
  }

  /** Durable when it returns. Throws STATE_UNUSABLE. */
  put({ user, backend }: UidlOwner, names: Iterable<string>): void {
    const row = [user, backend, JSON.stringify([...names].sort())]
    try {
      transact(this.#database, () => {
        this.#database
          .prepare('INSERT OR REPLACE INTO carried VALUES (?, ?, ?, ?)')
          .run(...row, sumOf(row))
      })
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }
}
