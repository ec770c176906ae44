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

const uidlTable = `
  -- What POP3 clients of a mailbox know its messages by, while it is at that back-end.
  CREATE TABLE uidl (
    id INTEGER PRIMARY KEY,
    user TEXT NOT NULL,
    backend TEXT NOT NULL,
    -- text of a UidlTable
    pairs TEXT NOT NULL,
    sum INTEGER NOT NULL,
    UNIQUE (user, backend)
  ) STRICT;
`

const extrasTable = `
  -- Which rights and annotations of a mailbox at that back-end came from another one, or went there.
  CREATE TABLE carried (
    user TEXT NOT NULL,
    backend TEXT NOT NULL,
    -- JSON: names
    names TEXT NOT NULL,
    sum INTEGER NOT NULL,
    PRIMARY KEY (user, backend)
  ) STRICT, WITHOUT ROWID;
`

/** For who reads other tables of the file: these may have millions of rows. */
export const copyTables = [
  'copy_mailbox',
  'copy_folder',
  'copy_message',
  'uidl',
  'carried',
] as const

/** Makes the tables where they are missing. Who does not know them needs them not. */
export function prepareCopySchema(database: SqliteDatabase): void {
  const wanted = { copy_message: tables, uidl: uidlTable, carried: extrasTable } as const
  const missing = (): string[] =>
    (Object.keys(wanted) as (keyof typeof wanted)[])
      .filter((name) => !hasTable(database, name))
      .map((name) => wanted[name])
  if (missing().length === 0) return
  transact(database, () => {
    for (const text of missing()) database.exec(text)
  })
}

export function hasTable(database: SqliteDatabase, name: (typeof copyTables)[number]): boolean {
  const query = "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?"
  return database.prepare(query).get(name) !== undefined
}
