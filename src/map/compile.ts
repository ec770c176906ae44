/** The four sources → one database in a file that is not published yet, and all that is found wrong. */
import { createHash, type Hash } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import type { FilledSource } from '../config/database-config.ts'
import { listSourceFiles, sizeOf } from '../storage/chunked-read.ts'
import type { DiskFile } from '../storage/disk.ts'
import { exactMarkOf } from '../storage/random-access.ts'
import { AliasCheck } from './alias-check.ts'
import { BackendTable } from './backend-table.ts'
import type { Database } from './database/database.ts'
import { DatabaseWriter, type Finished } from './database/database-writer.ts'
import { sourceLimit } from './database/record.ts'
import { reportDuplicates } from './duplicate-check.ts'
import { frameOf, seedOf } from './frame.ts'
import { Lookalikes } from './lookalikes.ts'
import type { SourceName } from './place.ts'
import { Problems } from './problems.ts'
import { checkReach } from './reach-check.ts'
import { AliasReader } from './sources/aliases.ts'
import {
  aliasRows,
  keyedRows,
  readDatabaseSource,
  type RowTaker,
} from './sources/database-source.ts'
import { type KeyedForm, popmapForm, readKeyedLines, userMapForm } from './sources/keyed-lines.ts'
import { readQueries } from './sources/popmap-queries.ts'
import { PatternReader } from './sources/popmap-patterns.ts'
import { RuleReader } from './sources/rules.ts'
import type { NoteSource, SourceContext, SourceFile } from './sources/source-context.ts'
import type { KnownSource } from './state/known-sources.ts'
import { BuildThreads } from './threads/build-threads.ts'
import type { ThreadSetting } from './threads/messages.ts'
import { readKeyedLinesInThreads } from './threads/split-source.ts'
import { Usage } from './usage.ts'

export interface Compiled {
  readonly problems: Problems
  readonly database: Database
  readonly counts: MapCounts
  readonly fileBytes: number
  /** Sources of single users, as they were read. */
  readonly taken: readonly KnownSource[]
}

export interface MapCounts {
  readonly users: number
  readonly aliases: number
  readonly rules: number
  readonly patterns: number
  readonly files: number
}

export interface CompileOptions {
  readonly generation: number
  readonly attempt: number
  readonly noteSource?: NoteSource
  /** Ends the work between two pieces of a source: it throws the signal's reason. */
  readonly signal?: AbortSignal
  /** Sources that are read by several threads, and by how many; fewer than 2: by none. */
  readonly threads?: { readonly count: number; readonly fromBytes: number }
}

/** Below it, threads take longer to start than they save. */
const splitFromBytes = 1 << 23
const mostThreads = 4

/** Two keys had one hash: the file must be written anew, with the next seed. */
export class SeedTaken extends Error {}

/** Reads all sources and writes `file`. Throws SeedTaken; what is wrong with sources is in `problems`. */
export async function compileMap(
  config: Config,
  file: DiskFile,
  options: CompileOptions,
): Promise<Compiled> {
  await using compilation = new Compilation(config, file, options)
  await compilation.read()
  return await compilation.finish(options.generation)
}

class Compilation {
  readonly #config: Config
  readonly #context: SourceContext
  readonly #digest: Hash
  readonly #aliases: AliasReader
  readonly #rules: RuleReader
  readonly #patterns: PatternReader
  readonly #files: string[] = []
  readonly #taken: KnownSource[] = []
  readonly #aliasTargets = new Map<string, readonly string[]>()
  readonly #options: CompileOptions
  #threads: BuildThreads | undefined

  constructor(config: Config, file: DiskFile, options: CompileOptions) {
    this.#config = config
    this.#options = options
    this.#digest = createHash('sha256').update(frameOf(config))
    this.#context = {
      naming: config.naming,
      backends: new BackendTable(config.backends.values()),
      smarthost: config.smarthost,
      problems: new Problems(),
      writer: new DatabaseWriter(file, seedOf(config, options.attempt)),
      forwards: [],
      lookalikes: new Lookalikes(),
      usage: new Usage(),
      addToDigest: (bytes) => void this.#digest.update(bytes),
      noteSource: options.noteSource ?? (async () => undefined),
      signal: options.signal,
    }
    this.#aliases = new AliasReader(this.#context)
    this.#rules = new RuleReader(this.#context)
    this.#patterns = new PatternReader(this.#context)
  }

  async read(): Promise<void> {
    const { aliases, userMap, popmap, queryKeys, rules } = this.#config.map
    const popmapWithPatterns: KeyedForm = {
      ...popmapForm,
      ...(queryKeys.length === 0 ? {} : { readKey: readQueries(queryKeys, this.#context) }),
      takePattern: this.#patterns.takeWildcard.bind(this.#patterns),
    }
    const context = this.#context
    await this.#readSource('rules', rules, (file) => this.#rules.readFile(file))
    await this.#readSource('user_map', userMap, (file) => this.#readKeyed(file, userMapForm))
    await this.#readDatabases('user_map', (file) => keyedRows(file, userMapForm, context))
    await this.#readSource('popmap', popmap, (file) =>
      file.path.endsWith('.re')
        ? this.#patterns.readFile(file)
        : this.#readKeyed(file, popmapWithPatterns),
    )
    await this.#readDatabases('popmap', (file) => keyedRows(file, popmapWithPatterns, context))
    await this.#readSource('aliases', aliases, (file) => this.#aliases.readFile(file))
    await this.#readDatabases('aliases', (file) => aliasRows(file, this.#aliases))
    for (const { key, at, file, targets } of this.#aliases.aliases.values()) {
      const origin = { kind: 'aliases', source: file.number, line: at.line } as const
      const texts = [...new Set(targets.map(({ text }) => text))]
      this.#aliasTargets.set(key, texts)
      context.writer.addAlias(origin, key, texts)
      await context.writer.settle()
    }
  }

  async #readKeyed(file: SourceFile, form: KeyedForm): Promise<void> {
    const before = exactMarkOf(file.path)
    const lines = await this.#readKeyedLines(file, form)
    const mark = exactMarkOf(file.path)
    // What was edited while it was read is known by half.
    if (mark === undefined || mark.text !== before?.text) return
    this.#taken.push({ file: file.path, mark: mark.text, lines })
  }

  async #readKeyedLines(file: SourceFile, form: KeyedForm): Promise<number> {
    const { count = Math.min(availableParallelism(), mostThreads), fromBytes = splitFromBytes } =
      this.#options.threads ?? {}
    // Threads know addresses only.
    const isPlain = form.readKey === undefined
    if (!isPlain || count < 2 || (await sizeOf(file.path)) < fromBytes) {
      return readKeyedLines(file, form, this.#context)
    }
    this.#threads ??= new BuildThreads(count, this.#threadSetting())
    return readKeyedLinesInThreads(file, form, this.#context, this.#threads)
  }

  #threadSetting(): ThreadSetting {
    const { naming, smarthost, backends } = this.#config
    const seed = seedOf(this.#config, this.#options.attempt)
    return { naming, smarthost, backends: [...backends.values()], seed }
  }

  async #readSource(
    name: SourceName,
    path: string | undefined,
    read: (file: SourceFile) => Promise<void>,
  ): Promise<void> {
    if (path === undefined) return
    for (const found of await this.#list(path)) {
      await read(this.#begin(name, found))
    }
  }

  async #readDatabases(name: FilledSource, takerOf: (file: SourceFile) => RowTaker): Promise<void> {
    for (const database of this.#config.map.databases) {
      if (database.source !== name) continue
      const file = { ...this.#begin(name, database.label), hasRows: true }
      await readDatabaseSource(database, file, this.#context, takerOf(file))
    }
  }

  #begin(name: SourceName, path: string): SourceFile {
    const file = { path, number: this.#files.length }
    if (file.number === sourceLimit) throw new RangeError(`more than ${sourceLimit} source files`)
    this.#files.push(path)
    this.#context.addToDigest(`\0${name}\0${path}\0`)
    return file
  }

  async #list(path: string): Promise<string[]> {
    try {
      await this.#context.noteSource(path)
      return await listSourceFiles(path)
    } catch (error) {
      const hint =
        'check that it exists and that this user may read it, or take it out of the config'
      const at = { file: path, line: 1, column: 1 }
      this.#context.problems.error('unreadable', at, `cannot be read: ${messageOf(error)}`, hint)
      return []
    }
  }

  async finish(generation: number): Promise<Compiled> {
    const { problems, writer } = this.#context
    const counts = this.#counts()
    if (counts.users + counts.aliases + counts.rules + counts.patterns === 0) this.#refuseEmpty()
    const rest = {
      generation,
      sourceDigest: this.#digest.digest(),
      meta: this.#meta(),
      path: this.#config.map.database,
    }
    const finished = await writer.finish(rest, this.#threads)
    await this[Symbol.asyncDispose]()
    if (finished === undefined) throw new SeedTaken('two keys have one hash')
    this.#check(finished)
    const { database, fileBytes } = finished
    return { problems, database, counts, fileBytes, taken: this.#taken }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#threads?.end()
  }

  #refuseEmpty(): void {
    const { problems } = this.#context
    if (problems.errors > 0) return
    const at = { file: this.#config.file, line: 1, column: 1 }
    const hint = 'name sources under map, and give them entries'
    problems.error('empty-map', at, 'the map has no user, no alias and no rule', hint)
  }

  #counts(): MapCounts {
    const { writer } = this.#context
    return {
      users: writer.users,
      aliases: writer.aliases,
      rules: this.#rules.rules.length,
      patterns: this.#patterns.patterns.length,
      files: this.#files.length,
    }
  }

  #meta() {
    const { naming, backends, smarthost, map } = this.#config
    return {
      rules: this.#rules.rules,
      patterns: this.#patterns.patterns,
      ...(map.queryKeys.length === 0 ? {} : { queryKeys: map.queryKeys }),
      smarthost: smarthost ?? null,
      backends: [...backends.values()].map(({ name, host }) => ({ name, host })),
      domains: [...naming.domains],
      files: this.#files,
    }
  }

  #check({ database, duplicates }: Finished): void {
    const { problems, naming, forwards, lookalikes, usage } = this.#context
    const checked = { database, naming, problems }
    reportDuplicates(duplicates, checked)
    database.rememberAliases(this.#aliasTargets)
    new AliasCheck(checked, this.#aliases.aliases, forwards).run()
    lookalikes.report(database, problems)
    checkReach(checked, this.#config, usage)
  }
}
