/** `build-map`: compiles the sources and publishes the database as a whole. */
import { MailmuxError } from '../base/error.ts'
import type { Problem } from '../base/problem.ts'
import type { Config } from '../config/config.ts'
import { type Disk, realDisk } from '../storage/disk.ts'
import { guardChanges } from './change-guard.ts'
import { type Compiled, compileMap, type MapCounts, SeedTaken } from './compile.ts'
import { openDatabase, readHeader } from './database/open-database.ts'
import { MapProblems } from './problems.ts'
import { noteBase, publishBase } from './publish.ts'
import type { NoteSource } from './sources/source-context.ts'
import { openRepaired } from './state/apply-change.ts'

export interface BuildOptions {
  /** Warnings keep the map from being published, as errors do. */
  readonly strict?: boolean
  /** Publishes however many users are sent elsewhere. */
  readonly force?: boolean
  /** Publishes nothing where the map in force is that of the same sources. */
  readonly keepUnchanged?: boolean
  readonly disk?: Disk
  /** Told of each text file and directory of the sources, before it is read. */
  readonly noteSource?: NoteSource
  /** Ends a build that has not begun to publish: it throws the signal's reason. */
  readonly signal?: AbortSignal
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
  readonly warnings: Problem[]
}

/** Another seed is needed once in a billion builds; so often in a row, something else is wrong. */
const attemptLimit = 8

/**
 * Throws MAP_INVALID or MAP_SOURCE_UNREADABLE (as MapProblems, with everything found),
 * MAP_MAX_CHANGED, MAP_WRITE_FAILED, and what `openRepaired` throws; then the database in force is
 * untouched.
 */
export async function buildMap(config: Config, options: BuildOptions = {}): Promise<BuildReport> {
  const { disk = realDisk } = options
  const notes: string[] = []
  using state = await openRepaired(config, { ...options, warn: (text) => notes.push(text) })
  const previous = readPrevious(config.map.database, notes)
  const generation = Math.max(previous.generation, state.generation) + 1
  const mayKeep = options.keepUnchanged === true && !state.hasChangesSince(previous.generation)
  const { compiled, isKept } = await withSeeds((attempt) =>
    publish(config, { attempt, generation, options, previous, mayKeep }),
  )
  const report = reportOf(config, compiled, previous)
  if (isKept) return { ...report, generation: previous.generation }
  const { users, aliases } = compiled.counts
  const row = { generation, kind: 'build', description: 'build-map', users, aliases } as const
  const taken = { base: generation, sources: compiled.taken }
  const { map } = config
  const published = { state, disk, map, row, taken, previous: previous.generation }
  const failure = await noteBase(published)
  if (failure === undefined) return report
  previous.warnings.push(warningAt(map.database, 'not-in-history', failure))
  return reportOf(config, compiled, previous)
}

interface Publication {
  readonly attempt: number
  readonly generation: number
  readonly options: BuildOptions
  readonly previous: Previous
  /** The map in force stays where it was made of the same sources. */
  readonly mayKeep: boolean
}

interface Published {
  readonly compiled: Compiled
  /** The map in force has stayed. */
  readonly isKept: boolean
}

/** Keeps what was compiled from being published. */
class Unchanged extends Error {}

async function publish(
  config: Config,
  { attempt, generation, options, previous, mayKeep }: Publication,
): Promise<Published> {
  const { disk = realDisk, force = false, signal } = options
  let compiled: Compiled | undefined
  let isKept = false
  try {
    await publishBase(disk, config.map, async (file) => {
      compiled = await compileMap(config, file, { ...options, generation, attempt })
      refuseProblems(compiled, options)
      const isSame = previous.sourceDigest?.equals(compiled.database.header.sourceDigest)
      if (mayKeep && isSame === true && isWhole(config.map.database)) throw new Unchanged()
      if (!force && previous.sourceDigest !== undefined) guard(config, compiled, previous)
      signal?.throwIfAborted()
    })
  } catch (error) {
    if (!(error instanceof Unchanged)) throw error
    isKept = true
  }
  if (compiled === undefined) throw new TypeError('nothing was compiled')
  return { compiled, isKept }
}

function isWhole(database: string): boolean {
  try {
    const opened = openDatabase(database)
    try {
      return opened.database.damagedBlocks().next().done === true
    } finally {
      opened.close()
    }
  } catch (error) {
    if (error instanceof MailmuxError) return false
    throw error
  }
}

/** A map that others can read is not replaced by somebody who cannot tell what changes. */
const isFinal = new Set<string>(['MAP_MAX_CHANGED', 'MAP_DATABASE_UNREADABLE'])

/** Where the database in force is damaged, nobody can say what changes. */
function guard(config: Config, { database }: Compiled, { warnings }: Previous): void {
  try {
    guardChanges(config, database)
  } catch (error) {
    if (!(error instanceof MailmuxError) || isFinal.has(error.code)) throw error
    warnings.push(
      warningAt(
        config.map.database,
        'previous-damaged',
        `${error.message}: how much changes is not known`,
      ),
    )
  }
}

export function reportOf(
  config: Config,
  compiled: Compiled,
  previous: Pick<Previous, 'sourceDigest' | 'warnings'>,
): BuildReport {
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

export async function withSeeds<Result>(
  work: (attempt: number) => Promise<Result>,
): Promise<Result> {
  for (let attempt = 0; attempt < attemptLimit; attempt++) {
    try {
      return await work(attempt)
    } catch (error) {
      if (!(error instanceof SeedTaken)) throw error
    }
  }
  throw new RangeError('no seed gives every key a hash of its own')
}

export function refuseProblems({ problems }: Compiled, { strict = false }: BuildOptions): void {
  if (problems.errors > 0 || (strict && problems.warnings > 0)) throw new MapProblems(problems)
}

/** A damaged database is replaced, and numbers begin anew. */
function readPrevious(database: string, notes: readonly string[]): Previous {
  const warnings = notes.map((note) => warningAt(database, 'unfinished-change', note))
  try {
    const { generation, sourceDigest } = readHeader(database)
    return { generation, sourceDigest, warnings }
  } catch (error) {
    if (!(error instanceof MailmuxError) || isFinal.has(error.code)) throw error
    if (error.code !== 'MAP_DATABASE_MISSING') {
      const what = `the database in force is damaged (${error.message}) and is written anew`
      warnings.push(warningAt(database, 'previous-damaged', what))
    }
    return { generation: 0, sourceDigest: undefined, warnings }
  }
}

function warningAt(file: string, code: string, message: string): Problem {
  return { severity: 'warning', code, message, at: { file, line: 1, column: 1 } }
}
