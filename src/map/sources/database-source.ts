/**
 * One database that fills a source: its rows, up to the last one, or a failure. Whatever goes wrong,
 * the build ends with it: a source that was read in part is never made a map of.
 */
import { isAbsolute } from 'node:path'
import { messageOf } from '../../base/error.ts'
import type { DatabaseConfig } from '../../config/database-config.ts'
import { realDisk } from '../../storage/disk.ts'
import { MapProblems, Problems } from '../problems.ts'
import type { AliasReader } from './aliases.ts'
import { type KeyedForm, keyedBlocks } from './keyed-lines.ts'
import { ldapRows } from './ldap-entry.ts'
import { RowDigest } from './row-digest.ts'
import { positionIn, type SourceContext, type SourceFile } from './source-context.ts'
import { SourceFailure } from './source-failure.ts'
import {
  checkRow,
  type GoodRow,
  lineOf,
  RowProblems,
  type TableRow,
  writtenKey,
} from './table-row.ts'

/** Secrets and the like, read of the files that the config names. */
export interface DatabaseSecrets {
  readonly password: string | undefined
  /** PEM text. */
  readonly ca: string | undefined
}

/** Takes rows, the first of which has that number; undefined stands for one that was refused. */
export interface RowTaker {
  take(rows: readonly (GoodRow | undefined)[], firstRow: number): void
  end(): Promise<void>
}

/** Rows as lines of user_map or popmap. */
export function keyedRows(file: SourceFile, form: KeyedForm, context: SourceContext): RowTaker {
  let current: { rows: readonly (GoodRow | undefined)[]; firstRow: number } | undefined
  const nameOf = (row: number): string | undefined => current?.rows[row - current.firstRow]?.key
  const problems = new RowProblems(context.problems, nameOf)
  const take = keyedBlocks(file, form, { ...context, problems })
  return {
    take: (rows, firstRow) => {
      current = { rows, firstRow }
      // A comment keeps the numbers of the rows after one that was refused.
      const lines = rows.map((row) => (row === undefined ? '#\n' : lineOf(row, form.separator)))
      const bytes = Buffer.from(lines.join(''))
      take(bytes, 0, bytes.length, firstRow)
    },
    end: () => Promise.resolve(),
  }
}

export function aliasRows(file: SourceFile, reader: AliasReader): RowTaker {
  return {
    take: (rows, firstRow) => {
      for (const [index, row] of rows.entries()) {
        if (row !== undefined) {
          reader.takeRow(file, firstRow + index, writtenKey(row.key), row.value)
        }
      }
    },
    end: () => reader.endRows(),
  }
}

/** Throws MapProblems where the database cannot be read to its end, or has nothing. */
export async function readDatabaseSource(
  config: DatabaseConfig,
  file: SourceFile,
  context: SourceContext,
  taker: RowTaker,
): Promise<void> {
  const reading = new DatabaseReading(file, context, taker)
  try {
    await within(config, async (signal) => {
      const secrets = await readSecrets(config)
      for await (const rows of openRows(config, secrets, context, signal)) {
        signal.throwIfAborted()
        await reading.take(rows)
      }
    })
  } catch (error) {
    if (!(error instanceof SourceFailure)) throw error
    return reading.fail(error.code, error.message)
  }
  await reading.end()
}

class DatabaseReading {
  readonly #file: SourceFile
  readonly #context: SourceContext
  readonly #taker: RowTaker
  readonly #digest = new RowDigest()
  #rows = 0

  constructor(file: SourceFile, context: SourceContext, taker: RowTaker) {
    this.#file = file
    this.#context = context
    this.#taker = taker
  }

  async take(rows: readonly TableRow[]): Promise<void> {
    const firstRow = this.#rows + 1
    this.#rows += rows.length
    const good = rows.map((row, index) => this.#check(row, firstRow + index))
    this.#taker.take(good, firstRow)
    await this.#context.writer.settle()
  }

  #check(row: TableRow, number: number): GoodRow | undefined {
    const checked = checkRow(row)
    if ('row' in checked) {
      this.#digest.add(checked.row.key, checked.row.value)
      return checked.row
    }
    const at = positionIn(this.#file, number)
    this.#context.problems.error('bad-row', at, checked.refused, checked.hint)
    return undefined
  }

  async end(): Promise<void> {
    if (this.#rows === 0) {
      const hint = 'check what is asked for; where nobody is meant to be there, take it out'
      return this.fail('no-rows', 'the database gives nothing', hint)
    }
    this.#context.addToDigest(this.#digest.text)
    await this.#taker.end()
  }

  fail(code: string, message: string, hint?: string): never {
    // Alone: what else is wrong is seen when all can be read, and the code says what is to be done.
    const problems = new Problems()
    problems.error(code, positionIn(this.#file, this.#rows + 1), message, hint)
    throw new MapProblems(problems)
  }
}

/** Runs a reading; its time is up for it as a whole, however slowly rows still come. */
async function within(
  { timeoutMs }: DatabaseConfig,
  read: (signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const ended = new AbortController()
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const what = `it is not read to its end within ${timeoutMs / 1000} s`
    const failure = new SourceFailure('unavailable', `${what}: see timeout in docs/config.md`)
    ended.abort(failure)
    reject(failure)
  }, timeoutMs)
  try {
    await Promise.race([read(ended.signal), promise])
  } finally {
    clearTimeout(timer)
  }
}

async function readSecrets({ passwordFile, tlsCaFile }: DatabaseConfig): Promise<DatabaseSecrets> {
  // Files of the config have whole paths; a credential has one where there are any.
  if (passwordFile !== undefined && !isAbsolute(passwordFile)) {
    throw new SourceFailure(
      'unreadable',
      `${passwordFile}: systemd gave this process no such folder`,
    )
  }
  const password = await readText(passwordFile)
  if (password?.trim() === '') {
    throw new SourceFailure('unreadable', `${passwordFile}: there is no password in it`)
  }
  return { password: password?.replace(/\r?\n$/, ''), ca: await readText(tlsCaFile) }
}

async function readText(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return (await realDisk.read(path)).toString()
  } catch (error) {
    const what = `${path}: cannot be read: ${messageOf(error)}`
    throw new SourceFailure('unreadable', what, { cause: error })
  }
}

/** Client libraries are loaded only by who reads a database of theirs. */
async function* openRows(
  config: DatabaseConfig,
  secrets: DatabaseSecrets,
  context: SourceContext,
  signal: AbortSignal,
): AsyncGenerator<readonly TableRow[]> {
  switch (config.kind) {
    case 'postgres': {
      const { readPostgres } = await import('./postgres.ts')
      yield* sqlRows(readPostgres(config, secrets, signal))
      break
    }
    case 'mysql': {
      const { readMysql } = await import('./mysql.ts')
      yield* sqlRows(readMysql(config, secrets, signal))
      break
    }
    case 'ldap': {
      const { readLdap } = await import('./ldap.ts')
      for await (const entries of readLdap(config, secrets, signal)) {
        yield entries.flatMap((entry) => ldapRows(entry, config, context))
      }
      break
    }
    default:
      config satisfies never
  }
}

/** The cells of a row; null is NULL. */
export type Cells = readonly (string | null)[]

async function* sqlRows(batches: AsyncIterable<readonly Cells[]>): AsyncGenerator<TableRow[]> {
  for await (const batch of batches) {
    const columns = batch[0]?.length ?? 2
    if (columns !== 2) {
      const what = `the query gives ${columns} column${columns === 1 ? '' : 's'}, not key and value`
      throw new SourceFailure('unreadable', what)
    }
    yield batch.map(([key = null, value = null]) => ({ key, value }))
  }
}
