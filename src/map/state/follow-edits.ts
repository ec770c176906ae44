/** Tells edits that changes of the map have made in sources from those of people and programs. */
import { existsSync } from 'node:fs'
import { openSqliteToRead, type SqliteDatabase } from '../../storage/sqlite.ts'
import { copyTables } from './copy-schema.ts'
import { type EditedFile, statePath } from './state.ts'

/** How long another process is waited for that opens or closes the file. */
const waitMs = 1_000

/**
 * True where changes of the map alone have led from the signatures in `seen` to those in `now`: then
 * the map in force says what the sources say if it did so before. What cannot be told is false.
 */
export function areEditsOfChanges(
  stateDir: string,
  seen: ReadonlyMap<string, string>,
  now: ReadonlyMap<string, string>,
): boolean {
  const path = statePath(stateDir)
  if (!existsSync(path)) return false
  try {
    const { database } = openSqliteToRead(path, waitMs, copyTables)
    try {
      return [...seen].every(([file, before]) => {
        const after = now.get(file)
        return before === after || follow(database, file, before) === after
      })
    } finally {
      database.close()
    }
  } catch {
    // Whoever asks builds, and then hears what is wrong.
    return false
  }
}

function follow(database: SqliteDatabase, file: string, signature: string): string {
  const query = 'SELECT before, after FROM edit WHERE file = ? ORDER BY generation, rowid'
  const edits = database.prepare(query).all(file) as unknown as Omit<EditedFile, 'file'>[]
  return edits.reduce((at, { before, after }) => (at === before ? after : at), signature)
}
