/** A file without a name, for what is kept while a message is under way: gone when it is closed. */
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type DiskFile, realDisk } from './disk.ts'

const owner = { mode: 0o600 } as const

/**
 * Opens one on the disk that holds `directory`, which is made where it is missing. Its name, for the
 * moment that it has one, is that of a temporary file of this process. Throws what the system reports.
 */
export async function openUnnamedFile(directory: string): Promise<DiskFile> {
  const path = join(directory, `tmp.${process.pid}.${randomBytes(12).toString('hex')}`)
  const file = await realDisk.create(path, owner).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    // Whoever makes it at the same time makes the same.
    await mkdir(directory, { mode: 0o700 }).catch((failed: NodeJS.ErrnoException) => {
      if (failed.code !== 'EEXIST') throw failed
    })
    return realDisk.create(path, owner)
  })
  try {
    await realDisk.unlink(path)
  } catch (error) {
    await file.close()
    throw error
  }
  return file
}
