/**
 * What state.db holds of mailboxes that are copied from one back-end to another: which message there
 * came of which here. It is this table, and nothing in the messages, that makes copying repeatable.
 */
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'

const tables = `
  CREATE TABLE copy_mailbox (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    source TEXT NOT NULL,
    target TEXT NOT NULL,
    UNIQUE (user, source, target)
  ) STRICT;
  CREATE TABLE copy_folder (
    id INTEGER PRIMARY KEY,
    mailbox INTEGER NOT NULL,
    source_name TEXT NOT NULL,
    target_name TEXT NOT NULL,
    -- UIDVALIDITY at both ends: what the rows of messages are about
    source_validity INTEGER NOT NULL,
    target_validity INTEGER NOT NULL,
    -- messages at the target up to this UID that no row names are somebody else's
    floor INTEGER NOT NULL,
    -- JSON of a FolderState after the last pass that went to its end; null: none did
    source_state TEXT,
    target_state TEXT,
    -- 1: they were read and found equal in these states
    verified INTEGER NOT NULL,
    sum INTEGER NOT NULL,
    UNIQUE (mailbox, source_name)
  ) STRICT;
  CREATE TABLE copy_message (
    folder INTEGER NOT NULL,
    source_validity INTEGER NOT NULL,
    source_uid INTEGER NOT NULL,
    target_uid INTEGER NOT NULL,
    size INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    -- seconds since 1970, as the target was asked to store it
    date INTEGER,
    -- as they were at the source when they were last written at the target
    flags TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (folder, source_validity, source_uid)
  ) STRICT, WITHOUT ROWID;
  -- One message at the target never stands for two at the source.
  CREATE UNIQUE INDEX copy_target ON copy_message (folder, target_uid);
`

/** For who reads other tables of the file: these may have millions of rows. */
export const copyTables = ['copy_mailbox', 'copy_folder', 'copy_message'] as const

/** Makes the tables where they are missing. Who does not know them needs them not. */
export function prepareCopySchema(database: SqliteDatabase): void {
  if (hasCopyTables(database)) return
  transact(database, () => {
    if (!hasCopyTables(database)) database.exec(tables)
  })
}

function hasCopyTables(database: SqliteDatabase): boolean {
  const query = "SELECT count(*) AS count FROM sqlite_schema WHERE name = 'copy_message'"
  return database.prepare(query).get()?.['count'] === 1
}
