/** The history of generations, for those who change nothing: without the lock of a change. */
import { existsSync } from 'node:fs'
import { openSqliteToRead } from '../../storage/sqlite.ts'
import { copyTables } from './copy-schema.ts'
import { hasTables } from './state-schema.ts'
import { type GenerationKind, type HistoryRow, statePath, unusable } from './state.ts'

/** How long another process is waited for that opens or closes the file. */
const waitMs = 1_000

/** Oldest first; none where nothing was written down. Throws STATE_DAMAGED, STATE_UNUSABLE. */
export function readHistory(stateDir: string): HistoryRow[] {
  const path = statePath(stateDir)
  if (!existsSync(path)) return []
  try {
    const { database } = openSqliteToRead(path, waitMs, copyTables)
    try {
      if (!hasTables(database)) return []
      return database.prepare('SELECT * FROM history ORDER BY generation').all().map(rowOf)
    } finally {
      database.close()
    }
  } catch (error) {
    throw unusable(path, error)
  }
}

function rowOf(row: Readonly<Record<string, unknown>>): HistoryRow {
  const count = (name: string): number | undefined =>
    row[name] === null ? undefined : Number(row[name])
  return {
    generation: Number(row['generation']),
    at: new Date(Number(row['at'])),
    kind: String(row['kind']) as GenerationKind,
    description: String(row['description']),
    by: String(row['by']),
    users: count('users'),
    aliases: count('aliases'),
  }
}
