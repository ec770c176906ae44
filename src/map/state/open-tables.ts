/** How whoever keeps tables of its own in `state.db` opens it. */
import { makePrivateDirectory } from '../../storage/private-directory.ts'
import { openSqlite, type SqliteDatabase } from '../../storage/sqlite.ts'
import { statePath, unusable } from './state.ts'
import { prepareSchema } from './state-schema.ts'

/**
 * Makes the folder, the file and the tables where they are missing, and gives them to `take`; closes
 * them where that fails. Throws STATE_DAMAGED and STATE_UNUSABLE.
 */
export async function openTables<Taker>(
  stateDir: string,
  prepare: (database: SqliteDatabase) => void,
  take: (path: string, database: SqliteDatabase) => Taker,
): Promise<Taker> {
  const path = statePath(stateDir)
  try {
    await makePrivateDirectory(stateDir)
    const database = openSqlite(path)
    try {
      prepareSchema(database)
      prepare(database)
      return take(path, database)
    } catch (error) {
      database.close()
      throw error
    }
  } catch (error) {
    throw unusable(path, error)
  }
}
