/**
 * Replaces a file as a whole: after any crash the path holds the old contents or the new, never
 * a mixture. Temporary name in the same directory, fsync of the file, rename, fsync of the directory.
 */
import { dirname } from 'node:path'
import type { Disk, DiskFile } from './disk.ts'

/**
 * Calls `fill` with the temporary file and publishes what it wrote under `path`. Where anything
 * fails, the temporary file is removed, `path` is untouched, and the error is passed on.
 */
export async function replaceFile(
  disk: Disk,
  path: string,
  fill: (file: DiskFile) => Promise<void>,
  mode = 0o640,
): Promise<void> {
  const temporary = `${path}.${process.pid}.tmp`
  await disk.makeDirectory(dirname(path))
  await removeIfThere(disk, temporary)
  try {
    const file = await disk.create(temporary, mode)
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

async function removeIfThere(disk: Disk, path: string): Promise<void> {
  try {
    await disk.unlink(path)
  } catch (error) {
    // Absent is what we want; a name that cannot be removed shows itself at the next create.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return
  }
}
