/**
 * What state.db holds. Rows are never changed, only added and pruned: an override counts for a base
 * whose generation is below its own, so a build that folds it in needs not touch it.
 */
import { crc32 } from 'node:zlib'
import { MailmuxError } from '../../base/error.ts'
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'

const version = 1

/** Came after the others: it is made where it is missing, and who does not know it needs it not. */
const sourceTable = `
  CREATE TABLE IF NOT EXISTS source (
    -- the base that has taken the file in, with the changes since
    base INTEGER NOT NULL,
    file TEXT NOT NULL,
    mark TEXT NOT NULL,
    lines INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (base, file)
  ) STRICT, WITHOUT ROWID;
`

const tables = `
  CREATE TABLE override (
    generation INTEGER NOT NULL,
    key TEXT NOT NULL,
    -- JSON of an Entry; null: the key is gone
    entry TEXT,
    -- JSON: where the lines stand, by source
    places TEXT NOT NULL,
    -- of the other columns: SQLite does not see a bit that has turned
    sum INTEGER NOT NULL,
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
  CREATE TABLE journal (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    change TEXT NOT NULL,
    sum INTEGER NOT NULL
  ) STRICT;
  -- Tells this file from one that was made in its place.
  CREATE TABLE identity (id TEXT NOT NULL) STRICT;
  INSERT INTO identity VALUES (lower(hex(randomblob(16))));
  PRAGMA user_version = ${version};
`

/** What files were before and after changes of the map; readers do without it. */
const editTable = `
  CREATE TABLE IF NOT EXISTS edit (
    generation INTEGER NOT NULL,
    file TEXT NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL
  ) STRICT;
`

/** Makes the tables in a new file. Throws where a newer version of the program has made the file. */
export function prepareSchema(database: SqliteDatabase): void {
  if (hasTables(database) && hasLaterTables(database)) return
  transact(database, () => {
    if (!hasTables(database)) database.exec(tables)
    database.exec(sourceTable)
    database.exec(editTable)
  })
}

/** False where nothing was written yet. Throws where the format is another one. */
export function hasTables(database: SqliteDatabase): boolean {
  const known = Number(database.prepare('PRAGMA user_version').get()?.['user_version'])
  if (known === version) return true
  const { count } = database.prepare('SELECT count(*) AS count FROM sqlite_schema').get() ?? {}
  if (known === 0 && count === 0) return false
  throw new Error(`it is of format ${known}, and this version knows ${version}`)
}

function hasLaterTables(database: SqliteDatabase): boolean {
  const query = "SELECT count(*) AS count FROM sqlite_schema WHERE name IN ('source', 'edit')"
  return database.prepare(query).get()?.['count'] === 2
}

/** Of the columns of a row, in their order. */
export function sumOf(columns: readonly (string | number | null)[]): number {
  return crc32(JSON.stringify(columns))
}

/** The columns named, where their checksum holds. Throws STATE_DAMAGED. */
export function checkRow(
  path: string,
  row: Readonly<Record<string, unknown>>,
  names: readonly string[],
): void {
  const columns = names.map((name) => row[name] as string | number | null)
  if (sumOf(columns) === row['sum']) return
  throw new MailmuxError('STATE_DAMAGED', `${path}: the checksum of a row is wrong`)
}
