/**
 * Publishes what an older generation said as a new one. The sources stay as they are: the next build
 * takes what they say.
 */
import { createHash } from 'node:crypto'
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { type Disk, type DiskFile, realDisk } from '../storage/disk.ts'
import { withSeeds } from './build.ts'
import { openGeneration, type OpenMap } from './compared-map.ts'
import { SeedTaken } from './compile.ts'
import { DatabaseWriter } from './database/database-writer.ts'
import { readHeader } from './database/open-database.ts'
import type { Origin } from './database/record.ts'
import { noteBase, publishBase } from './publish.ts'
import { backendsOf } from './rule.ts'
import { openRepaired } from './state/apply-change.ts'
import { statePath } from './state/state.ts'
import type { Value } from './value.ts'

export interface RollbackReport {
  readonly database: string
  /** The new number. */
  readonly generation: number
  /** Whose map it is. */
  readonly restored: number
  readonly users: number
  readonly aliases: number
  /** What failed once it was in force. */
  readonly warning?: string
}

/**
 * Throws MAP_GENERATION_UNKNOWN, MAP_BACKEND_GONE, MAP_WRITE_FAILED, what `openDatabase` and what
 * `openRepaired` throw; then the map in force is untouched.
 */
export async function rollBack(
  config: Config,
  restored: number,
  disk: Disk = realDisk,
): Promise<RollbackReport> {
  using state = await openRepaired(config, { disk })
  using older = await openGeneration(config, restored)
  refuseStrangers(older, config)
  const previous = generationOf(config)
  const generation = Math.max(previous, state.generation) + 1
  const counts = await withSeeds(async (attempt) => {
    let written = { users: 0, aliases: 0 }
    await publishBase(disk, config.map, async (file) => {
      written = await writeAnew(older, config, file, { generation, attempt })
    })
    return written
  })
  const { map } = config
  const description = `map rollback ${restored}`
  const row = { generation, kind: 'rollback', description, ...counts } as const
  const warning = await noteBase({ state, disk, map, row, previous })
  const report = { database: map.database, generation, restored, ...counts }
  return warning === undefined ? report : { ...report, warning }
}

/** Of the base in force; 0 where it is damaged, which is a reason to go back. */
function generationOf({ map }: Config): number {
  try {
    return readHeader(map.database).generation
  } catch (error) {
    if (!(error instanceof MailmuxError) || error.code === 'MAP_DATABASE_UNREADABLE') throw error
    return 0
  }
}

/** A back-end that the config has no more can be sent nobody. */
function refuseStrangers({ database }: OpenMap, { backends }: Config): void {
  const { meta } = database
  const named = new Set([
    ...meta.values.flatMap((value) => ('backend' in value ? value.backend : [])),
    ...meta.rules.flatMap(({ destination }) => backendsOf(destination)),
    ...meta.patterns.map(({ backend }) => backend),
    ...[meta.smarthost ?? []].flat(),
  ])
  for (const backend of named) if (!backends.has(backend)) refuseStranger(backend)
}

function refuseStranger(backend: string): never {
  const what = `it sends users to ${backend}, which the config has no more`
  throw new MailmuxError('MAP_BACKEND_GONE', what)
}

/** The base without what was changed, then the changes. */
async function writeAnew(
  older: OpenMap,
  config: Config,
  file: DiskFile,
  { generation, attempt }: { generation: number; attempt: number },
): Promise<{ users: number; aliases: number }> {
  const { database, lookup, overridden } = older
  const { header, meta } = database
  const writer = new DatabaseWriter(file, [header.seed[0], (header.seed[1] + attempt) >>> 0])
  const changed = new Set(overridden)
  const add = (origin: Origin, key: string, value: unknown): void => {
    if (origin.kind === 'aliases') return writer.addAlias(origin, key, value as readonly string[])
    const { backend } = value as { backend?: string }
    if (backend !== undefined && !config.backends.has(backend)) refuseStranger(backend)
    return writer.addUser(origin, key, value as Value)
  }
  let count = 0
  for (const record of database.records()) {
    if (!changed.has(record.key)) add(record, record.key, database.valueOfRecord(record))
    if (++count % 4096 === 0) await writer.settle()
  }
  // Where a change has written its line was of that time; what is known is who said it.
  const source = meta.files.length
  for (const key of changed) {
    const { targets, delivery, retrieval } = lookup.find(key) ?? {}
    if (targets !== undefined) add({ kind: 'aliases', source, line: 1 }, key, targets)
    if (delivery !== undefined) add({ kind: 'user_map', source, line: 1 }, key, delivery)
    if (retrieval !== undefined) add({ kind: 'popmap', source, line: 1 }, key, retrieval)
  }
  const files = changed.size === 0 ? meta.files : [...meta.files, statePath(config.stateDir)]
  const finished = await writer.finish({
    generation,
    sourceDigest: changed.size === 0 ? header.sourceDigest : digestOf(older),
    meta: { ...meta, files },
    path: config.map.database,
  })
  if (finished === undefined) throw new SeedTaken('two keys have one hash')
  return { users: writer.users, aliases: writer.aliases }
}

/** With changes folded in it is what no sources have said. */
function digestOf({ database, generation }: OpenMap): Buffer {
  const digest = createHash('sha256').update(database.header.sourceDigest)
  return digest.update(String(generation)).digest()
}
