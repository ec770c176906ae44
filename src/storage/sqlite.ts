/**
 * The door to SQLite files: what a transaction has written is on the medium when it returns, and
 * readers in other processes see whole transactions.
 */
import { DatabaseSync } from 'node:sqlite'

/** How long a statement waits for another process's transaction. */
const busyMs = 5_000

export type SqliteDatabase = DatabaseSync

/** Opens, and makes where it is not there, for this user and group only. Throws what SQLite reports. */
export function openSqlite(path: string): SqliteDatabase {
  const umask = process.umask(0o027)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: busyMs })
    // The files beside it are made here, with the same mask.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return database
  } catch (error) {
    database?.close()
    throw error
  } finally {
    process.umask(umask)
  }
}

/** Opens what is there, to read only. Never waits for a writer. Throws what SQLite reports. */
export function openSqliteToRead(path: string): SqliteDatabase {
  return new DatabaseSync(path, { readOnly: true, timeout: 0 })
}

/** Runs `work` as one transaction: all of it, or nothing and the error. */
export function transact<Result>(database: SqliteDatabase, work: () => Result): Result {
  database.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    database.exec('COMMIT')
    return result
  } catch (error) {
    if (database.isTransaction) database.exec('ROLLBACK')
    throw error
  }
}

/** True where the file is no SQLite database, or a damaged one; https://www.sqlite.org/rescode.html */
export function isDamage(error: unknown): boolean {
  const { errcode } = error as { errcode?: number }
  return errcode !== undefined && ((errcode & 0xff) === 11 || (errcode & 0xff) === 26)
}
