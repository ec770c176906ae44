/**
 * The journal of moves, in the state database. A step is durable when it is written; the one that
 * gives a user another home is written by `applyChange`, in the transaction that does so.
 */
import { existsSync } from 'node:fs'
import { MailmuxError } from '../../base/error.ts'
import { openSqliteToRead, type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import { addMoveStep, hasMoveTables, prepareMoveSchema } from './move-schema.ts'
import { openTables } from './open-tables.ts'
import { statePath, unusable } from './state.ts'
import { checkRow, sumOf } from './state-schema.ts'

/**
 * Where a move is. Before `flipped` the user lives at the source, from then on at the target; there
 * is nothing between.
 *
 * - planned: nothing has been done but to look
 * - copying: passes, while the user works
 * - waiting: it has been copied, and is not to be frozen before its time
 * - freezing, settling, verifying, flipping: nothing may change the mailbox
 * - giving_up: the freeze is to be ended at the source
 * - stopped: it can be gone on with; the details say why it was not
 * - flipped: the freeze is to be ended at the target
 * - sweeping: what came to the source by another way is looked for
 * - kept: done; the source's copy is there still
 * - purging, purged: that is taken away
 * - ended: the user has moved on; the source's copy is nobody's to purge
 * - aborted: given up, by command
 */
export type MoveStep =
  | 'planned'
  | 'copying'
  | 'waiting'
  | 'freezing'
  | 'settling'
  | 'verifying'
  | 'flipping'
  | 'giving_up'
  | 'stopped'
  | 'flipped'
  | 'sweeping'
  | 'kept'
  | 'purging'
  | 'purged'
  | 'ended'
  | 'aborted'

/** What a move has done so far. Times in milliseconds, of the day since 1970. */
export interface MoveDetails {
  readonly passes: number
  readonly copied: number
  readonly bytes: number
  /** Freezes that were begun. */
  readonly freezes: number
  /** How long the last freeze took. */
  readonly freezeMs?: number
  readonly flippedAt?: number
  /** The user is not frozen before. */
  readonly at?: number
  readonly sweeps: number
  readonly sweptAt?: number
  /** Messages that came to the source after the flip, and were brought over. */
  readonly stragglers: number
  /** What later runs have allowed beside what the first one did. */
  readonly allowed?: Partial<Allowed>
  /** Why it has stopped. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** What may be left behind: Sieve scripts, and what POP3 clients know messages by. */
export type Ignorable = 'sieve' | 'uidl'

/** What a run of the command may say of a move that is under way. */
type Allowed = Pick<MovePlan, 'merge' | 'maxBad' | 'ignores' | 'verify'>

export interface MovePlan {
  readonly user: string
  /** Names of back-ends. */
  readonly source: string
  readonly target: string
  /** The name of the mailbox at both. */
  readonly login: string
  /** The words for user_map and, where it says something of the user, popmap. */
  readonly value: string
  readonly retrieval?: string
  /** The target has a copy of an earlier move, the other way. */
  readonly isReturn: boolean
  /** Messages at the target that nobody has put there are no reason to stop. */
  readonly merge: boolean
  readonly maxBad: number
  /** What is left behind; nothing where it is absent. */
  readonly ignores?: readonly Ignorable[]
  /** In the freeze all is compared, and not only what has changed. */
  readonly verify?: 'full'
}

export interface Move extends MovePlan {
  readonly id: number
  readonly startedAt: number
  readonly step: MoveStep
  readonly changedAt: number
  readonly epoch: number
  readonly details: MoveDetails
}

const moveColumns = ['id', 'user', 'source', 'target', 'plan', 'started']
const stepColumns = ['move', 'number', 'at', 'epoch', 'step', 'details']
/** Of a move and its last step, whose names are partly the same. */
const joinedColumns = [
  ...[...moveColumns, 'sum'].map((name) => `move.${name} AS move_${name}`),
  ...[...stepColumns, 'sum'].map((name) => `move_step.${name} AS step_${name}`),
].join()
const nothingDone: MoveDetails = {
  passes: 0,
  copied: 0,
  bytes: 0,
  freezes: 0,
  sweeps: 0,
  stragglers: 0,
}

/** How long another process is waited for that opens or closes the file. */
const waitMs = 1_000

type Row = Readonly<Record<string, unknown>>

export class MoveJournal implements Disposable {
  readonly #path: string
  readonly #database: SqliteDatabase

  private constructor(path: string, database: SqliteDatabase) {
    this.#path = path
    this.#database = database
  }

  /** Throws STATE_DAMAGED and STATE_UNUSABLE. */
  static open(stateDir: string): Promise<MoveJournal> {
    const take = (path: string, database: SqliteDatabase) => new MoveJournal(path, database)
    return openTables(stateDir, prepareMoveSchema, take)
  }

  /**
   * For who changes nothing; undefined where nobody was ever moved. What is damaged is found as it is
   * read: it is opened often. Throws likewise.
   */
  static openToRead(stateDir: string): MoveJournal | undefined {
    const path = statePath(stateDir)
    if (!existsSync(path)) return undefined
    try {
      const { database } = openSqliteToRead(path, waitMs, 'all')
      if (hasMoveTables(database)) return new MoveJournal(path, database)
      database.close()
      return undefined
    } catch (error) {
      throw unusable(path, error)
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  /** All moves, in the order in which they began. */
  moves(): Move[] {
    return [...this.#select('ORDER BY move.id')]
  }

  /** The last move of a user. */
  lastOf(user: string): Move | undefined {
    const [last] = this.#select('WHERE user = ? ORDER BY move.id DESC LIMIT 1', user)
    return last
  }

  /** The last move of a user that was not given up. */
  lastMeantOf(user: string): Move | undefined {
    return this.#select('WHERE user = ? ORDER BY move.id DESC', user).find(
      ({ step }) => step !== 'aborted',
    )
  }

  /** Whether this way anything may have been copied since the user last moved the other way. */
  hasCopied({ user, source, target }: Pick<Move, 'user' | 'source' | 'target'>): boolean {
    const steps = 'FROM move JOIN move_step ON move_step.move = move.id'
    const way = 'move.user = ? AND move.source = ? AND move.target = ?'
    const last = `SELECT coalesce(max(move.id), 0) ${steps} WHERE ${way} AND step = 'flipped'`
    const query = `SELECT 1 ${steps} WHERE ${way} AND step = 'copying' AND move.id > (${last})`
    const found = this.#database.prepare(query).get(user, source, target, user, target, source)
    return found !== undefined
  }

  /** Where the move is now, whoever has written it. */
  read(id: number): Move {
    const [move] = this.#select('WHERE move.id = ?', id)
    if (move !== undefined) return move
    throw unusable(this.#path, new Error(`it has no move ${id}`))
  }

  /** Its epoch is higher than any that was asked with for the user. `at`: as the details have it. */
  begin({ user, source, target, ...rest }: MovePlan, at?: number): Move {
    const epoch = (this.lastOf(user)?.epoch ?? 0) + 1
    const id = this.#write(() => {
      const last = this.#database.prepare('SELECT max(id) AS last FROM move').get()
      const next = Number(last?.['last'] ?? 0) + 1
      const columns = [next, user, source, target, JSON.stringify(rest), Date.now()]
      this.#database
        .prepare('INSERT INTO move VALUES (?, ?, ?, ?, ?, ?, ?)')
        .run(...columns, sumOf(columns))
      const details = JSON.stringify({ ...nothingDone, ...(at === undefined ? {} : { at }) })
      addMoveStep(this.#database, { move: next, epoch, step: 'planned', details })
      return next
    })
    return this.read(id)
  }

  /** The next step, durable when it returns. */
  enter(move: Move, next: Partial<Pick<Move, 'step' | 'epoch' | 'details'>>): Move {
    const { id, step, epoch, details } = { ...move, ...next }
    const text = JSON.stringify(details)
    this.#write(() => addMoveStep(this.#database, { move: id, epoch, step, details: text }))
    return this.read(id)
  }

  /** With its last step each. Throws STATE_DAMAGED and STATE_UNUSABLE. */
  *#select(which: string, ...values: readonly (string | number)[]): Generator<Move, void> {
    const query = `SELECT ${joinedColumns} FROM move JOIN move_step ON move_step.move = move.id
      AND number = (SELECT max(number) FROM move_step WHERE move = move.id) ${which}`
    try {
      for (const row of this.#database.prepare(query).iterate(...values)) yield this.#moveOf(row)
    } catch (error) {
      throw error instanceof MailmuxError ? error : unusable(this.#path, error)
    }
  }

  #moveOf(joined: Row): Move {
    const row = this.#checked(joined, 'move', moveColumns)
    const last = this.#checked(joined, 'step', stepColumns)
    const details = JSON.parse(String(last['details'])) as MoveDetails
    return {
      id: Number(row['id']),
      user: String(row['user']),
      source: String(row['source']),
      target: String(row['target']),
      ...(JSON.parse(String(row['plan'])) as Omit<MovePlan, 'user' | 'source' | 'target'>),
      ...details.allowed,
      startedAt: Number(row['started']),
      step: String(last['step']) as MoveStep,
      changedAt: Number(last['at']),
      epoch: Number(last['epoch']),
      details,
    }
  }

  /** The columns of one of the two tables. Throws STATE_DAMAGED. */
  #checked(joined: Row, table: 'move' | 'step', names: readonly string[]): Row {
    const row = Object.fromEntries(
      [...names, 'sum'].map((name) => [name, joined[`${table}_${name}`]]),
    )
    checkRow(this.#path, row, names)
    return row
  }

  #write<Result>(work: () => Result): Result {
    try {
      return transact(this.#database, work)
    } catch (error) {
      throw unusable(this.#path, error)
    }
  }
}
