/**
 * Old bases, kept beside the database in `<database>.history/<generation>.db`. They are names for the
 * same files, so that keeping one costs a name, and a base is kept before another takes its place.
 */
import { join } from 'node:path'
import type { MapConfig } from '../config/config.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Disk } from '../storage/disk.ts'
import { readHeader } from './database/open-database.ts'

type Where = Pick<MapConfig, 'database' | 'history'>

function folderOf({ database }: Where): string {
  return `${database}.history`
}

export function keptPath(where: Where, generation: number): string {
  return join(folderOf(where), `${generation}.db`)
}

/** Generations of the bases that are kept, oldest first. Throws MAP_SOURCE_UNREADABLE. */
export async function listKept(disk: Pick<Disk, 'list'>, where: Where): Promise<number[]> {
  let names: string[]
  try {
    names = await disk.list(folderOf(where))
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (['ENOENT', 'ENOTDIR'].includes(code)) return []
    const what = `${folderOf(where)}: cannot be read: ${messageOf(error)}`
    throw new MailmuxError('MAP_SOURCE_UNREADABLE', what, { cause: error })
  }
  return names
    .flatMap((name) => /^(\d+)\.db$/.exec(name)?.[1] ?? [])
    .map(Number)
    .toSorted((one, other) => one - other)
}

/** Keeps the base in force, durably. Where it is damaged or there is none, nothing is kept. */
export async function keepBase(disk: Disk, where: Where): Promise<void> {
  if (where.history === 0) return
  let generation: number
  try {
    generation = readHeader(where.database).generation
  } catch (error) {
    if (error instanceof MailmuxError) return
    throw error
  }
  const folder = folderOf(where)
  await disk.makeDirectory(folder)
  const path = keptPath(where, generation)
  try {
    await disk.link(where.database, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    // Kept by a command that was ended before it went on, or numbers have begun anew.
    await disk.unlink(path)
    await disk.link(where.database, path)
  }
  await disk.syncDirectory(folder)
}

/**
 * Removes bases beyond the number that the config says: first those that say what the next one says
 * (a build from cron changes nothing on most days), then the oldest. Returns the oldest generation
 * that is left. A base that cannot be removed is in nobody's way: the next build tries again.
 */
export async function pruneKept(disk: Disk, where: Where): Promise<number | undefined> {
  const kept = await listKept(disk, where)
  const extra = Math.max(0, kept.length - where.history)
  if (extra === 0) return kept[0]
  const digests = kept.map((generation) => digestOf(keptPath(where, generation)))
  const repeated = kept.filter((_, index) => digests[index] === digests[index + 1])
  const gone = new Set([...repeated, ...kept].slice(0, extra))
  // One that repeats and is old besides stands twice.
  for (const generation of kept) {
    if (gone.size < extra) gone.add(generation)
  }
  for (const generation of gone) {
    await disk.unlink(keptPath(where, generation)).catch(() => undefined)
  }
  return kept.find((generation) => !gone.has(generation))
}

/** What its sources were; a name of its own where that cannot be read. */
function digestOf(path: string): string {
  try {
    return readHeader(path).sourceDigest.toString('hex')
  } catch (error) {
    if (error instanceof MailmuxError) return path
    throw error
  }
}
