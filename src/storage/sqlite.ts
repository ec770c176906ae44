/**
 * The door to SQLite files: what a transaction has written is on the medium when it returns, and
 * readers in other processes see whole transactions.
 */
import { statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { ownAsDirectory } from './own-as-directory.ts'

/** How long a statement waits for another process's transaction. */
const busyMs = 5_000

/** https://www.sqlite.org/rescode.html */
const readOnly = 8
const inputOutput = 10
const corrupt = 11
const full = 13
const cannotOpen = 14
const notADatabase = 26

export type SqliteDatabase = DatabaseSync

/** Opens, and makes where it is not there, for this user and group only. Throws what SQLite reports. */
export function openSqlite(path: string): SqliteDatabase {
  const umask = process.umask(0o027)
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: busyMs })
    ownAsDirectory(path)
    // The files beside it are made here, with the same mask; SQLite gives them to the same owner.
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    return database
  } catch (error) {
    database?.close()
    throw error
  } finally {
    process.umask(umask)
  }
}

export interface ReadDatabase {
  readonly database: SqliteDatabase
  /** False: what others write from now on is not seen. */
  readonly isLive: boolean
}

/**
 * Opens what is there, to read only, and checks that it is whole. Waits at most `waitMs` for another
 * process that opens or closes it; a transaction is never waited for. `unread`: tables that may be
 * large and that the caller does not read; they are not checked. `all`: nothing is, for who finds out
 * as rows are read. Throws what SQLite reports.
 */
export function openSqliteToRead(
  path: string,
  waitMs: number,
  unread: readonly string[] | 'all' = [],
): ReadDatabase {
  // SQLite would wait for somebody who writes into a named pipe.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() === false) {
    throw Object.assign(new Error('not a regular file'), { errcode: cannotOpen })
  }
  try {
    return { database: openWhole(path, waitMs, unread), isLive: true }
  } catch (error) {
    // Who may not write there, or has no room, cannot make the files that readers share with writers.
    // While nobody has the database open, all is in the one file: https://www.sqlite.org/wal.html#readonly
    if (!sharingFails.has(codeOf(error))) throw error
    const log = statSync(`${path}-wal`, { throwIfNoEntry: false })
    if (log !== undefined && log.size > 0) throw error
    const url = new URL(`${pathToFileURL(path).href}?immutable=1`)
    return { database: openWhole(url, waitMs, unread), isLive: false }
  }
}

const sharingFails = new Set([readOnly, inputOutput, full, cannotOpen])

function openWhole(
  path: string | URL,
  waitMs: number,
  unread: readonly string[] | 'all',
): SqliteDatabase {
  const database = new DatabaseSync(path, { readOnly: true, timeout: waitMs })
  try {
    if (unread === 'all') {
      // Else a file that is none, or cannot be read, would be found out later.
      database.prepare('SELECT count(*) FROM sqlite_schema').get()
      return database
    }
    const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").all()
    const names = tables.map(({ name }) => String(name))
    const isAll = !names.some((name) => unread.includes(name))
    const read = isAll ? ['1'] : names.filter((name) => !unread.includes(name))
    for (const what of read) {
      const [found] = Object.values(database.prepare(`PRAGMA quick_check(${what})`).get() ?? {})
      if (found !== 'ok') throw Object.assign(new Error(String(found)), { errcode: corrupt })
    }
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

function codeOf(error: unknown): number {
  return ((error as { errcode?: number }).errcode ?? 0) & 0xff
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

/** True where the file is no SQLite database, or a damaged one. */
export function isDamage(error: unknown): boolean {
  return [corrupt, notADatabase].includes(codeOf(error))
}
