/**
 * The state database, held by one command at a time: changes since the build, the history of
 * generations, and the journal of a change that is being made. Readers do not wait for it.
 */
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { MailmuxError, messageOf } from '../../base/error.ts'
import type { Position } from '../../base/position.ts'
import { describeHolder, takeLock } from '../../storage/lock.ts'
import { makePrivateDirectory } from '../../storage/private-directory.ts'
import { isDamage, openSqlite, type SqliteDatabase, transact } from '../../storage/sqlite.ts'
import type { Entry, SourceName } from '../place.ts'
import { type KnownSource, KnownSources } from './known-sources.ts'
import { addMoveStep, type MoveStepRow } from './move-schema.ts'
import type { LineShift } from './source-edit.ts'
import { checkRow, prepareSchema, sumOf } from './state-schema.ts'

/** What a change says of one key from now on. */
export interface Override {
  /** As in the database: `local@domain`, `local@` for every domain of ours. */
  readonly key: string
  /** The whole of it; undefined: the key is gone. */
  readonly entry: Entry | undefined
  /** Where the lines of the key stand after the change. */
  readonly places: Readonly<Partial<Record<SourceName, Position>>>
}

export type GenerationKind = 'build' | 'change' | 'rollback'

export interface HistoryRow {
  readonly generation: number
  readonly at: Date
  readonly kind: GenerationKind
  readonly description: string
  /** Login name at this host of who did it. */
  readonly by: string
  readonly users: number | undefined
  readonly aliases: number | undefined
}

/** What a generation consists of, to be written down. */
export interface NewGeneration extends Pick<HistoryRow, 'generation' | 'kind' | 'description'> {
  readonly users?: number
  readonly aliases?: number
}

/** What a base and the changes since have taken in. */
export interface TakenSources {
  readonly base: number
  readonly sources: readonly KnownSource[]
}

export interface MadeChange {
  readonly overrides: readonly Override[]
  readonly shifts: readonly (LineShift & { readonly file: string })[]
  readonly edits?: readonly EditedFile[]
}

/** What gives a user another home. */
export interface Flip extends Pick<MadeChange, 'overrides'> {
  readonly move: MoveStepRow
  /** The last look before it is durable; what it throws leaves all as it was. */
  readonly check: () => void
}

/** A source that a change has edited, by its signatures before and after. */
export interface EditedFile {
  readonly file: string
  readonly before: string
  readonly after: string
}

/** How long a command waits for another one, and how often it looks. */
const patienceMs = 30_000
const lookMs = 20

export function statePath(stateDir: string): string {
  return join(stateDir, 'state.db')
}

export class State implements Disposable {
  readonly path: string
  readonly #database: SqliteDatabase
  readonly #lock: Disposable

  private constructor(path: string, database: SqliteDatabase, lock: Disposable) {
    this.path = path
    this.#database = database
    this.#lock = lock
  }

  /**
   * Waits until no other command holds the state, and holds it. Throws STATE_BUSY after
   * `waitMs`, STATE_DAMAGED, STATE_UNUSABLE. `signal` ends the wait.
   */
  static async open(stateDir: string, waitMs = patienceMs, signal?: AbortSignal): Promise<State> {
    const path = statePath(stateDir)
    const lockPath = join(stateDir, 'change.lock')
    let lock: Disposable | undefined
    try {
      await makePrivateDirectory(stateDir)
      lock = await waitForLock(lockPath, waitMs, signal)
      if (lock === undefined) {
        const who = describeHolder(lockPath)
        throw new MailmuxError('STATE_BUSY', `${path}: another command is changing the map${who}`)
      }
      return new State(path, openAll(path), lock)
    } catch (error) {
      lock?.[Symbol.dispose]()
      throw unusable(path, error)
    }
  }

  [Symbol.dispose](): void {
    this.#database.close()
    this.#lock[Symbol.dispose]()
  }

  /** Of the last change or build that is written down; 0 where there is none. */
  get generation(): number {
    const row = this.#database.prepare('SELECT max(generation) AS last FROM history').get()
    return Number(row?.['last'] ?? 0)
  }

  /** True where a change is in force that a base of that generation has not in it. */
  hasChangesSince(generation: number): boolean {
    const query = 'SELECT 1 FROM override WHERE generation > ? LIMIT 1'
    return this.#database.prepare(query).get(generation) !== undefined
  }

  /** The change that was being made when a command was ended; as `begin` was given it. */
  get unfinished(): unknown {
    const row = this.#database.prepare('SELECT change, sum FROM journal').get()
    if (row === undefined) return undefined
    checkRow(this.path, row, ['change'])
    return JSON.parse(String(row['change']))
  }

  /** Writes down what is about to be done. */
  begin(change: unknown): void {
    const text = JSON.stringify(change)
    this.#write(() =>
      this.#database
        .prepare('INSERT INTO journal (id, change, sum) VALUES (1, ?, ?)')
        .run(text, sumOf([text])),
    )
  }

  /** Forgets what was begun. */
  abandon(): void {
    this.#write(() => this.#database.exec('DELETE FROM journal'))
  }

  /**
   * Puts the overrides of a change in force before its sources are edited, and with them the step of
   * a move: one transaction, which `check` may still end by throwing. The journal says what is left.
   */
  putInForce(change: unknown, generation: NewGeneration, { overrides, move, check }: Flip): void {
    const text = JSON.stringify(change)
    this.#write(() => {
      this.#database
        .prepare('INSERT INTO journal (id, change, sum) VALUES (1, ?, ?)')
        .run(text, sumOf([text]))
      this.#addHistory(generation)
      this.#addChange(generation.generation, { overrides, shifts: [] })
      addMoveStep(this.#database, move)
      check()
    })
  }

  /** The sources say what is in force already. */
  complete(generation: number, change: Omit<MadeChange, 'overrides'>, taken?: TakenSources): void {
    this.#write(() => {
      this.#database.exec('DELETE FROM journal')
      this.#addChange(generation, { ...change, overrides: [] })
      if (taken !== undefined) this.#addTaken(taken)
    })
  }

  /** Puts a generation in force: what was begun is done. */
  record(generation: NewGeneration, change?: MadeChange, taken?: TakenSources): void {
    this.#write(() => {
      this.#database.exec('DELETE FROM journal')
      this.#addHistory(generation)
      if (change !== undefined) this.#addChange(generation.generation, change)
      if (taken !== undefined) this.#addTaken(taken)
    })
  }

  /** The files that a base and the changes since have taken in. */
  knownSources(base: number): KnownSources {
    const rows = this.#database
      .prepare('SELECT base, file, mark, lines, sum FROM source WHERE base = ?')
      .all(base)
    for (const row of rows) checkRow(this.path, row, ['base', 'file', 'mark', 'lines'])
    return new KnownSources(rows as unknown as KnownSource[])
  }

  /** Drops changes up to a generation: no base that is kept needs them. */
  forgetChanges(upTo: number): void {
    this.#write(() => {
      for (const table of ['override', 'shift', 'edit']) {
        this.#database.prepare(`DELETE FROM ${table} WHERE generation <= ?`).run(upTo)
      }
    })
  }

  #addHistory({ generation, kind, description, users, aliases }: NewGeneration): void {
    this.#database
      .prepare('INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?, ?)')
      .run(generation, Date.now(), kind, description, loginName(), users ?? null, aliases ?? null)
  }

  #addChange(generation: number, { overrides, shifts, edits = [] }: MadeChange): void {
    const addOverride = this.#database.prepare('INSERT INTO override VALUES (?, ?, ?, ?, ?)')
    for (const { key, entry, places } of overrides) {
      const text = entry === undefined ? null : JSON.stringify(entry)
      const columns = [generation, key, text, JSON.stringify(places)]
      addOverride.run(...columns, sumOf(columns))
    }
    const addShift = this.#database.prepare('INSERT INTO shift VALUES (?, ?, ?, ?)')
    for (const { file, line, delta } of shifts) addShift.run(generation, file, line, delta)
    const addEdit = this.#database.prepare('INSERT INTO edit VALUES (?, ?, ?, ?)')
    for (const { file, before, after } of edits) addEdit.run(generation, file, before, after)
  }

  /** Of an older base nobody asks any more. */
  #addTaken({ base, sources }: TakenSources): void {
    this.#database.prepare('DELETE FROM source WHERE base <> ?').run(base)
    const add = this.#database.prepare('INSERT OR REPLACE INTO source VALUES (?, ?, ?, ?, ?)')
    for (const { file, mark, lines } of sources) {
      const columns = [base, file, mark, lines]
      add.run(...columns, sumOf(columns))
    }
  }

  #write(work: () => void): void {
    try {
      transact(this.#database, work)
    } catch (error) {
      throw unusable(this.path, error)
    }
  }
}

function openAll(path: string): SqliteDatabase {
  const database = openSqlite(path)
  try {
    prepareSchema(database)
    return database
  } catch (error) {
    database.close()
    throw error
  }
}

async function waitForLock(
  path: string,
  waitMs: number,
  signal: AbortSignal | undefined,
): Promise<Disposable | undefined> {
  const until = performance.now() + waitMs
  for (;;) {
    const lock = takeLock(path)
    if (lock !== undefined || performance.now() > until) return lock
    await wait(lookMs, undefined, signal && { signal })
  }
}

function loginName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name: nothing better is known of who it is.
    return String(process.getuid?.() ?? '')
  }
}

export function unusable(path: string, error: unknown): MailmuxError {
  if (error instanceof MailmuxError) return error
  const code = isDamage(error) ? 'STATE_DAMAGED' : 'STATE_UNUSABLE'
  return new MailmuxError(code, `${path}: ${messageOf(error)}`, { cause: error })
}
