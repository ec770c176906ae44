/** A new base takes the place of the one in force, which is kept to go back to. */
import { dirname } from 'node:path'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { MapConfig } from '../config/config.ts'
import { replaceFile } from '../storage/atomic-file.ts'
import type { Disk, DiskFile, FileOwner } from '../storage/disk.ts'
import { keepBase, pruneKept } from './kept.ts'
import type { NewGeneration, State, TakenSources } from './state/state.ts'

/**
 * Publishes what `fill` writes. Throws what it throws, and MAP_WRITE_FAILED; then the database in
 * force is untouched. After a crash at any moment it is the old or the new one, and the old one is
 * kept under its own name before its place is taken.
 */
export async function publishBase(
  disk: Disk,
  map: MapConfig,
  fill: (file: DiskFile) => Promise<void>,
): Promise<void> {
  const fillAndKeep = async (file: DiskFile): Promise<void> => {
    await fill(file)
    await keepBase(disk, map)
  }
  try {
    const owner = await ownerOfNext(disk, map.database)
    await replaceFile(disk, map.database, fillAndKeep, owner)
  } catch (error) {
    if (error instanceof MailmuxError) throw error
    if ((error as NodeJS.ErrnoException).syscall === undefined) throw error
    const what = `${map.database}: cannot be written: ${messageOf(error)}`
    throw new MailmuxError('MAP_WRITE_FAILED', what, { cause: error })
  }
}

/** The daemons' user must be able to read what root builds in their directory. */
async function ownerOfNext(disk: Disk, database: string): Promise<FileOwner> {
  for (const path of [database, dirname(database)]) {
    try {
      const owner = await disk.ownerOf(path)
      return path === database ? owner : { ...owner, mode: 0o640 }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return { mode: 0o640 }
}

/** A base that is in force, and what is written down of it. */
export interface Published {
  readonly state: State
  readonly disk: Disk
  readonly map: MapConfig
  readonly row: NewGeneration
  /** The files that it has taken in whole. */
  readonly taken?: TakenSources
  /** Of the base before. */
  readonly previous: number
}

/**
 * Writes a new base into the history, and forgets what is no longer kept. Nothing of that takes the
 * base back, so what fails is returned, for a warning.
 */
export async function noteBase({ state, disk, map, row, taken, previous }: Published) {
  try {
    state.record(row, undefined, taken)
    state.forgetChanges(await pruneHistory(disk, map, previous))
    return undefined
  } catch (error) {
    if (!(error instanceof MailmuxError)) throw error
    return `generation ${row.generation} is in force, but not in the history: ${error.message}`
  }
}

/** Old bases beyond those that are kept; returns the generation up to which changes are needless. */
async function pruneHistory(disk: Disk, map: MapConfig, previous: number): Promise<number> {
  const oldest = await pruneKept(disk, map)
  // Daemons may go on with the base before until they are told to take the new one.
  return Math.min(oldest ?? previous, previous)
}
