/**
 * Replaces a file as a whole: after any crash the path holds the old contents or the new, never
 * a mixture. Temporary name in the same directory, fsync of the file, rename, fsync of the directory.
 */
import { basename, dirname, join } from 'node:path'
import type { Disk, DiskFile, FileOwner } from './disk.ts'
import { isAlive } from './process-alive.ts'

/**
 * Calls `fill` with the temporary file and publishes what it wrote under `path`. Where anything
 * fails, the temporary file is removed, `path` is untouched, and the error is passed on.
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  fill: (file: DiskFile) => Promise<void>,
  owner: FileOwner = { mode: 0o640 },
): Promise<void> {
  // Hidden: a directory of sources may be read while it is there.
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  await disk.makeDirectory(dirname(path))
  await removeLeftovers(disk, path)
  try {
    const file = await disk.create(temporary, owner)
    try {
      await fill(file)
      await file.sync()
    } finally {
      await file.close()
    }
    await disk.rename(temporary, path)
  } catch (error) {
    await removeIfThere(disk, temporary)
    throw error
  }
  await disk.syncDirectory(dirname(path))
}

/** What writers that died left behind, this process's own of before included. */
async function removeLeftovers(disk: Disk, path: string): Promise<void> {
  const prefix = `.${basename(path)}.`
  for (const name of await disk.list(dirname(path))) {
    const [, pid] = /^(\d+)\.tmp$/.exec(name.slice(prefix.length)) ?? []
    if (!name.startsWith(prefix) || pid === undefined) continue
    if (Number(pid) === process.pid || !isAlive(Number(pid))) {
      await removeIfThere(disk, join(dirname(path), name))
    }
  }
}

async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path)
  } catch (error) {
    // Absent is what we want; a name that cannot be removed shows itself at the next create.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
  }
}
