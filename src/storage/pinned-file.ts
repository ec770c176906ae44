/**
 * Holds a file as it is now: whoever opens `path` later, from another process too, reads the same
 * file, also when its name has been given to a newer one or is gone.
 */
import { link, open, readdir, realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { isAlive } from './process-alive.ts'

export interface PinnedFile {
  /** A name for the file held; its own name where the system has no /proc. */
  readonly path: string
  /** When it was written; milliseconds of the epoch. */
  readonly modifiedMs: number
  release(): Promise<void>
}

let linkCount = 0

/** Throws what opening throws. `readers`: whether processes of other users are to open it. */
export async function pinFile(
  path: string,
  readers: 'this user' | 'others' = 'this user',
): Promise<PinnedFile> {
  // What a process of root has open, others cannot reach by its number.
  if (readers === 'others') return pinByLink(path)
  const handle = await open(path, 'r')
  const held = `/proc/${process.pid}/fd/${handle.fd}`
  const hasProc = await stat(held).then(
    () => true,
    () => false,
  )
  const { mtimeMs: modifiedMs } = await handle.stat()
  return { path: hasProc ? held : path, modifiedMs, release: () => handle.close() }
}

/**
 * A second, hidden name beside the first; the first itself where there can be none. Names that
 * processes left which were killed are removed.
 */
async function pinByLink(path: string): Promise<PinnedFile> {
  const file = await realpath(path)
  const [folder, prefix] = [dirname(file), `.${basename(file)}.`]
  const held = join(folder, `${prefix}${process.pid}.${linkCount++}.held`)
  try {
    await removeLeftovers(folder, prefix)
    await link(file, held)
  } catch {
    const { mtimeMs: modifiedMs } = await stat(file)
    return { path: file, modifiedMs, release: () => Promise.resolve() }
  }
  const { mtimeMs: modifiedMs } = await stat(held)
  return { path: held, modifiedMs, release: () => rm(held, { force: true }) }
}

async function removeLeftovers(folder: string, prefix: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const [, pid] = /^(\d+)\.\d+\.held$/.exec(name.slice(prefix.length)) ?? []
    if (!name.startsWith(prefix) || pid === undefined) continue
    // A process of before may have had the number of this one.
    const isInUse = Number(pid) === process.pid ? linkCount > 1 : isAlive(Number(pid))
    if (!isInUse) await rm(join(folder, name), { force: true })
  }
}
