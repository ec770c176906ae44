/**
 * `build-map`: compiles the sources and publishes the database as a whole, or proves that the
 * database in force is what the sources say.
 */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Problem } from '../base/problem.ts'
import type { Config } from '../config/config.ts'
import { replaceFile } from '../storage/atomic-file.ts'
import { type Disk, realDisk } from '../storage/disk.ts'
import { type Compiled, compileMap, type MapCounts, SeedTaken } from './compile.ts'
import { readHeader } from './database/open-database.ts'
import { ComparingFile } from './database/comparing-file.ts'
import { MapProblems } from './problems.ts'
import { openRepaired } from './state/apply-change.ts'

export interface BuildOptions {
  /** Warnings keep the map from being published, as errors do. */
  readonly strict?: boolean
  readonly disk?: Disk
}

export interface BuildReport extends MapCounts {
  readonly database: string
  readonly generation: number
  readonly bytes: number
  /** The sources say what they said at the last build. */
  readonly unchanged: boolean
  /** All warnings, also those that `warnings` has no room for. */
  readonly warningCount: number
  readonly warnings: readonly Problem[]
}

/** What is known of the database in force, before a new one takes its place. */
interface Previous {
  readonly generation: number
  readonly sourceDigest: Buffer | undefined
  readonly warnings: readonly Problem[]
}

/** Another seed is needed once in a billion builds; so often in a row, something else is wrong. */
const attemptLimit = 8

/**
 * Throws MAP_INVALID or MAP_SOURCE_UNREADABLE (as MapProblems, with everything found) and
 * MAP_WRITE_FAILED, and what `openRepaired` throws; then the database in force is untouched.
 */
export async function buildMap(config: Config, options: BuildOptions = {}): Promise<BuildReport> {
  const { database } = config.map
  const notes: string[] = []
  using state = await openRepaired(config, { ...options, warn: (text) => notes.push(text) })
  const previous = readPrevious(database, notes)
  const generation = Math.max(previous.generation, state.generation) + 1
  try {
    const compiled = await withSeeds((attempt) => publish(config, { attempt, generation, options }))
    const { users, aliases } = compiled.counts
    state.record({ generation, kind: 'build', description: 'build-map', users, aliases })
    return reportOf(config, compiled, previous)
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    const what = `${database}: cannot be written: ${messageOf(error)}`
    throw new MailmuxError('MAP_WRITE_FAILED', what, { cause: error })
  }
}

interface Publication {
  readonly attempt: number
  readonly generation: number
  readonly options: BuildOptions
}

async function publish(
  config: Config,
  { attempt, generation, options }: Publication,
): Promise<Compiled> {
  let compiled: Compiled | undefined
  await replaceFile(options.disk ?? realDisk, config.map.database, async (file) => {
    compiled = await compileMap(config, file, { generation, attempt })
    refuseProblems(compiled, options)
  })
  if (compiled === undefined) throw new TypeError('nothing was compiled')
  return compiled
}

function reportOf(config: Config, compiled: Compiled, previous: Previous): BuildReport {
  const { problems, counts, fileBytes } = compiled
  const { header } = compiled.database
  return {
    database: config.map.database,
    generation: header.generation,
    ...counts,
    bytes: fileBytes,
    unchanged: previous.sourceDigest?.equals(header.sourceDigest) === true,
    warningCount: problems.warnings + previous.warnings.length,
    warnings: [...previous.warnings, ...problems.listWarnings()],
  }
}

async function withSeeds<Result>(work: (attempt: number) => Promise<Result>): Promise<Result> {
  for (let attempt = 0; attempt < attemptLimit; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      if (!(error instanceof SeedTaken)) throw error
    }
  }
  throw new RangeError('no seed gives every key a hash of its own')
}

function refuseProblems({ problems }: Compiled, { strict = false }: BuildOptions): void {
  if (problems.errors > 0 || (strict && problems.warnings > 0)) throw new MapProblems(problems)
}

/** A database that cannot be read is replaced, and numbers begin anew. */
function readPrevious(database: string, notes: readonly string[]): Previous {
  const warn = (code: string, message: string): Problem => {
    return { severity: 'warning', code, message, at: { file: database, line: 1, column: 1 } }
  }
  const warnings = notes.map((note) => warn('unfinished-change', note))
  try {
    const { generation, sourceDigest } = readHeader(database)
    return { generation, sourceDigest, warnings }
  } catch (error) {
    if (!(error instanceof MailmuxError)) throw error
    if (error.code !== 'MAP_DATABASE_MISSING') {
      const what = `the database in force is damaged (${error.message}) and is written anew`
      warnings.push(warn('previous-damaged', what))
    }
    return { generation: 0, sourceDigest: undefined, warnings }
  }
}

export interface CheckReport extends Omit<BuildReport, 'unchanged'> {
  /** True where the database in force is, byte for byte, what the sources compile to. */
  readonly equal: boolean
}

/**
 * Compiles the sources and compares the outcome with the database in force; writes nothing. Throws
 * what is wrong with the sources or the database as `buildMap` and `openMap` do.
 */
export async function checkMap(
  config: Config,
  options: Pick<BuildOptions, 'strict'> = {},
): Promise<CheckReport> {
  const { generation, sourceDigest } = readHeader(config.map.database)
  return withSeeds(async (attempt) => {
    await using file = new ComparingFile(config.map.database)
    const compiled = await compileMap(config, file, { generation, attempt })
    refuseProblems(compiled, options)
    const previous = { generation, sourceDigest, warnings: [] }
    const { unchanged: _, ...report } = reportOf(config, compiled, previous)
    return { ...report, equal: file.isEqual(compiled.fileBytes) }
  })
}
