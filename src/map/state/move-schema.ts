/**
 * What state.db holds of users who move from one back-end to another: one row a move, and what was
 * done of it, step by step. Whoever does not know these tables needs them not.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { sumOf } from './state-schema.ts'

const tables = `
  CREATE TABLE move (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    -- JSON of the rest of a MovePlan
    plan TEXT NOT NULL,
    -- milliseconds since 1970
    started INTEGER NOT NULL,
    sum INTEGER NOT NULL
  ) STRICT;
  -- Only added to: the last row of a move says where it is.
  CREATE TABLE move_step (
    move INTEGER NOT NULL,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    -- of the freeze that this step is under, or the next will be
    epoch INTEGER NOT NULL,
    step TEXT NOT NULL,
    -- JSON of MoveDetails
    details TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (move, number)
  ) STRICT, WITHOUT ROWID;
`

/** Makes the tables where they are missing. */
export function prepareMoveSchema(database: SqliteDatabase): void {
  if (hasMoveTables(database)) return
  transact(database, () => {
    if (!hasMoveTables(database)) database.exec(tables)
  })
}

export function hasMoveTables(database: SqliteDatabase): boolean {
  const query = "SELECT count(*) AS count FROM sqlite_schema WHERE name = 'move_step'"
  return database.prepare(query).get()?.['count'] === 1
}

/** A step that is to be written down. */
export interface MoveStepRow {
  readonly move: number
  readonly epoch: number
  readonly step: string
  /** JSON. */
  readonly details: string
}

/** Within a transaction of its caller. */
export function addMoveStep(
  database: SqliteDatabase,
  { move, epoch, step, details }: MoveStepRow,
): void {
  const query = 'SELECT max(number) AS last FROM move_step WHERE move = ?'
  const number = Number(database.prepare(query).get(move)?.['last'] ?? 0) + 1
  const columns = [move, number, Date.now(), epoch, step, details]
  database
    .prepare('INSERT INTO move_step VALUES (?, ?, ?, ?, ?, ?, ?)')
    .run(...columns, sumOf(columns))
}
