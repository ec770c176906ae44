/**
 * The journal of copies, in the state database: what is in it is durable, and what is not may still
 * have happened at the target. Commands that change the map do not wait for it, nor it for them;
 * that one user's mailbox is copied by one process at a time is for `lockMailbox` to see to.
 */
import type { StatementSync } from 'node:sqlite'
import { type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { prepareCopySchema } from './copy-schema.ts'
import { openTables } from './open-tables.ts'
import { unusable } from './state.ts'
import { checkRow, sumOf } from './state-schema.ts'

/** A folder as its server describes it. */
export interface FolderState {
  readonly uidValidity: number
  readonly uidNext: number
  readonly messages: number
  /** HIGHESTMODSEQ; '' where there is none. */
  readonly modseq: string
}

export interface CopiedFolder {
  readonly id: number
  readonly sourceName: string
  readonly targetName: string
  readonly sourceValidity: number
  readonly targetValidity: number
  /** Messages at the target up to this UID that no row names are somebody else's. */
  readonly floor: number
  /** Both ends after the last pass that went to its end. */
  readonly source: FolderState | undefined
  readonly target: FolderState | undefined
  /** In these states they were read, and found equal. */
  readonly isVerified: boolean
}

export type FolderBinding = Omit<CopiedFolder, 'id' | 'source' | 'target' | 'isVerified'>

export interface CopiedMessage {
  readonly sourceUid: number
  readonly targetUid: number
  readonly sizeBytes: number
  /** In base64url. */
  readonly sha256: string
  /** Seconds since 1970; undefined where it had none. */
  readonly date: number | undefined
  /** Sorted, between single spaces. */
  readonly flags: string
}

export interface CopyRoute {
  readonly user: string
  /** Names of back-ends. */
  readonly source: string
  readonly target: string
}

const folderColumns =
  'id mailbox source_name target_name source_validity target_validity floor source_state target_state verified'.split(
    ' ',
  )
const messageColumns = 'folder source_validity source_uid target_uid size sha256 date flags'.split(
  ' ',
)
const forgetTarget = 'DELETE FROM copy_message WHERE folder = ? AND target_uid = ?'
const selectMessage = `SELECT ${messageColumns.join()}, sum FROM copy_message`

const unseen = { source: undefined, target: undefined, isVerified: false } as const

type Row = Readonly<Record<string, unknown>>
type Column = string | number | null

export class CopyJournal implements Disposable {
  readonly #path: string
  readonly #database: SqliteDatabase
  readonly #insert: StatementSync

  private constructor(path: string, database: SqliteDatabase) {
    this.#path = path
    this.#database = database
    this.#insert = database.prepare('INSERT INTO copy_message VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)')
  }

  /** Throws STATE_DAMAGED and STATE_UNUSABLE. */
  static open(stateDir: string): Promise<CopyJournal> {
    const take = (path: string, database: SqliteDatabase) => new CopyJournal(path, database)
    return openTables(stateDir, prepareCopySchema, take)
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** The number of a mailbox's copy, which begins with this where there is none. */
  mailbox({ user, source, target }: CopyRoute): number {
    const query = 'SELECT id FROM copy_mailbox WHERE user = ? AND source = ? AND target = ?'
    const find = (): unknown => this.#database.prepare(query).get(user, source, target)?.['id']
    const known = find()
    if (known !== undefined) return Number(known)
    this.#write(() => {
      const add = 'INSERT INTO copy_mailbox (user, source, target) VALUES (?, ?, ?)'
      this.#database.prepare(add).run(user, source, target)
    })
    return Number(find())
  }

  /** How many messages of a mailbox are written down. */
  countMessages({ user, source, target }: CopyRoute): number {
    const query = `SELECT count(*) AS count FROM copy_message
      JOIN copy_folder ON copy_folder.id = copy_message.folder
      JOIN copy_mailbox ON copy_mailbox.id = copy_folder.mailbox
      WHERE user = ? AND source = ? AND target = ?`
    return Number(this.#database.prepare(query).get(user, source, target)?.['count'])
  }

  folders(mailbox: number): CopiedFolder[] {
    const query = `SELECT ${folderColumns.join()}, sum FROM copy_folder WHERE mailbox = ? ORDER BY id`
    return this.#database
      .prepare(query)
      .all(mailbox)
      .map((row) => this.#folderOf(row))
  }

  /** Writes down what belongs together, before any message of it is copied. */
  bind(mailbox: number, binding: FolderBinding): CopiedFolder {
    const { sourceName, targetName, sourceValidity, targetValidity, floor } = binding
    return this.#write(() => {
      const last = this.#database.prepare('SELECT max(id) AS last FROM copy_folder').get()
      const id = Number(last?.['last'] ?? 0) + 1
      const columns = [id, mailbox, sourceName, targetName, sourceValidity, targetValidity, floor]
      this.#putFolder([...columns, null, null, 0])
      return { id, ...binding, ...unseen }
    })
  }

  /** A new look at a folder: what is in `changes` holds from now on. */
  amend(mailbox: number, folder: CopiedFolder, changes: Partial<CopiedFolder>): CopiedFolder {
    const amended = { ...folder, ...changes }
    const { id, sourceName, targetName, sourceValidity, targetValidity, floor } = amended
    const columns = [id, mailbox, sourceName, targetName, sourceValidity, targetValidity, floor]
    const states = [amended.source, amended.target].map((state) =>
      state === undefined ? null : JSON.stringify(state),
    )
    const verified = amended.isVerified ? 1 : 0
    this.#write(() => this.#putFolder([...columns, ...states, verified]))
    return amended
  }

  /** Forgets a folder that is no more, and its messages. */
  drop({ id }: CopiedFolder): void {
    this.#write(() => {
      this.#database.prepare('DELETE FROM copy_message WHERE folder = ?').run(id)
      this.#database.prepare('DELETE FROM copy_folder WHERE id = ?').run(id)
    })
  }

  /** Messages by rising UID at the source, of the UIDVALIDITY that the folder has now. */
  *messages(
    { id, sourceValidity }: CopiedFolder,
    first = 0,
    last = 2 ** 32,
  ): Generator<CopiedMessage, void, undefined> {
    const query = `${selectMessage} WHERE folder = ? AND source_validity = ?
      AND source_uid BETWEEN ? AND ? ORDER BY source_uid`
    const rows = this.#database.prepare(query).iterate(id, sourceValidity, first, last)
    for (const row of rows) yield this.#messageOf(row)
  }

  /** Messages of a UIDVALIDITY that the source does not have any more. */
  stale({ id, sourceValidity }: CopiedFolder): CopiedMessage[] {
    const query = `${selectMessage} WHERE folder = ? AND source_validity <> ? ORDER BY target_uid`
    return this.#database
      .prepare(query)
      .all(id, sourceValidity)
      .map((row) => this.#messageOf(row))
  }

  /** Whether any message is written down, of the UIDVALIDITY that the folder has now. */
  hasMessages({ id, sourceValidity }: CopiedFolder): boolean {
    const query = 'SELECT 1 FROM copy_message WHERE folder = ? AND source_validity = ? LIMIT 1'
    return this.#database.prepare(query).get(id, sourceValidity) !== undefined
  }

  /** UIDs of messages, rising; of the UIDVALIDITY that the folder has now. */
  *sourceUids({ id, sourceValidity }: CopiedFolder): Generator<number, void, undefined> {
    const query = `SELECT source_uid FROM copy_message
      WHERE folder = ? AND source_validity = ? ORDER BY source_uid`
    for (const row of this.#database.prepare(query).iterate(id, sourceValidity)) {
      yield Number(row['source_uid'])
    }
  }

  /** UIDs at the target that rows name, rising. */
  *targetUids({ id }: CopiedFolder): Generator<number, void, undefined> {
    const query = 'SELECT target_uid FROM copy_message WHERE folder = ? ORDER BY target_uid'
    for (const row of this.#database.prepare(query).iterate(id)) yield Number(row['target_uid'])
  }

  /** Writes down copies. Rows that named the same messages at the target give way. */
  record({ id, sourceValidity }: CopiedFolder, messages: readonly CopiedMessage[]): void {
    if (messages.length === 0) return
    const forget = this.#database.prepare(forgetTarget)
    const replace = this.#database.prepare(
      'DELETE FROM copy_message WHERE folder = ? AND source_validity = ? AND source_uid = ?',
    )
    this.#write(() => {
      for (const { sourceUid, targetUid, sizeBytes, sha256, date, flags } of messages) {
        forget.run(id, targetUid)
        replace.run(id, sourceValidity, sourceUid)
        const identity = [id, sourceValidity, sourceUid, targetUid]
        const columns = [...identity, sizeBytes, sha256, date ?? null, flags]
        this.#insert.run(...columns, sumOf(columns))
      }
    })
  }

  /** Forgets messages by their UID at the target. */
  forget({ id }: CopiedFolder, targetUids: Iterable<number>): void {
    const forget = this.#database.prepare(forgetTarget)
    this.#write(() => {
      for (const uid of targetUids) forget.run(id, uid)
    })
  }

  /**
   * The target has another UIDVALIDITY: no row names a message there any more, and any message there
   * may be one of ours.
   */
  startAnew(mailbox: number, folder: CopiedFolder, targetValidity: number): CopiedFolder {
    const { id, sourceName, targetName, sourceValidity } = folder
    this.#write(() => {
      this.#database.prepare('DELETE FROM copy_message WHERE folder = ?').run(id)
      const columns = [id, mailbox, sourceName, targetName, sourceValidity, targetValidity, 0]
      this.#putFolder([...columns, null, null, 0])
    })
    return { ...folder, targetValidity, floor: 0, ...unseen }
  }

  #putFolder(columns: readonly Column[]): void {
    const marks = columns.map(() => '?').join()
    const query = `INSERT OR REPLACE INTO copy_folder VALUES (${marks}, ?)`
    this.#database.prepare(query).run(...columns, sumOf(columns))
  }

  #folderOf(row: Row): CopiedFolder {
    checkRow(this.#path, row, folderColumns)
    const state = (name: string): FolderState | undefined => {
      const text = row[name]
      return typeof text === 'string' ? (JSON.parse(text) as FolderState) : undefined
    }
    return {
      id: Number(row['id']),
      sourceName: String(row['source_name']),
      targetName: String(row['target_name']),
      sourceValidity: Number(row['source_validity']),
      targetValidity: Number(row['target_validity']),
      floor: Number(row['floor']),
      source: state('source_state'),
      target: state('target_state'),
      isVerified: row['verified'] === 1,
    }
  }

  #messageOf(row: Row): CopiedMessage {
    checkRow(this.#path, row, messageColumns)
    return {
      sourceUid: Number(row['source_uid']),
      targetUid: Number(row['target_uid']),
      sizeBytes: Number(row['size']),
      sha256: String(row['sha256']),
      date: row['date'] === null ? undefined : Number(row['date']),
      flags: String(row['flags']),
    }
  }

  #write<Result>(work: () => Result): Result {
    try {
      return transact(this.#database, work)
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }
}
