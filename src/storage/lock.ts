/**
 * A lock that belongs to a process and goes with it, however it ends: the kernel's file lock, which
 * Node reaches through SQLite. The file itself stays, empty; its being there means nothing.
 */
import { DatabaseSync } from 'node:sqlite'

/** Takes the lock at `path`; undefined where another holder has it. Throws where the file cannot be made. */
export function takeLock(path: string): Disposable | undefined {
  const umask = process.umask(0o177)
  let database: DatabaseSync
  try {
    database = new DatabaseSync(path, { timeout: 0 })
  } finally {
    process.umask(umask)
  }
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if (isBusy(error)) return undefined
    throw error
  }
  return { [Symbol.dispose]: () => database.close() }
}

/** SQLITE_BUSY; https://www.sqlite.org/rescode.html#busy */
function isBusy(error: unknown): boolean {
  return (error as { errcode?: number }).errcode === 5
}
