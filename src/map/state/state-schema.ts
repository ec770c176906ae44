/**
 * What state.db holds. Rows are never changed, only added and pruned: an override counts for a base
 * whose generation is below its own, so a build that folds it in needs not touch it.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'

const version = 1

const tables = `
  CREATE TABLE override (
    generation INTEGER NOT NULL,
    key TEXT NOT NULL,
    -- JSON of an Entry; null: the key is gone
    entry TEXT,
    -- JSON: where the lines stand, by source
    places TEXT NOT NULL,
    PRIMARY KEY (generation, key)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE shift (
    generation INTEGER NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    delta INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE history (
    generation INTEGER PRIMARY KEY,
    -- milliseconds since 1970
    at INTEGER NOT NULL,
    kind TEXT NOT NULL,
    description TEXT NOT NULL,
    by TEXT NOT NULL,
    users INTEGER,
    aliases INTEGER
  ) STRICT;
  -- The change that is being made; none where there is no row.
  CREATE TABLE journal (id INTEGER PRIMARY KEY CHECK (id = 1), change TEXT NOT NULL) STRICT;
  PRAGMA user_version = ${version};
`

/** Makes the tables in a new file. Throws where a newer version of the program has made the file. */
export function prepareSchema(database: SqliteDatabase): void {
  const known = versionOf(database)
  if (known === version) return
  if (known > version)
    throw new Error(`it is of format ${known}, and this version knows ${version}`)
  transact(database, () => {
    if (versionOf(database) === 0) database.exec(tables)
  })
}

export function versionOf(database: SqliteDatabase): number {
  return Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
}
