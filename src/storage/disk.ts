/**
 * The door to the disk for everything that must survive a crash: the calls that can lose data go
 * through here, so that a test can make each of them fail in turn (test/support/failing-disk.ts).
 */
import { readSync } from 'node:fs'
import { mkdir, open, readdir, readFile, rename, unlink } from 'node:fs/promises'

/** A file open for writing at its end. */
export interface DiskFile {
  /** Writes all of `bytes` at `position` (bytes from the start). */
  write(bytes: Uint8Array, position: number): Promise<void>
  /** What was written before, at once; shorter at the end of the file. */
  readBack(position: number, lengthBytes: number): Buffer
  /** Returns when the data are on the medium. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface Disk {
  /** Creates `path` anew for writing; fails with EEXIST where it exists. */
  create(path: string, mode: number): Promise<DiskFile>
  read(path: string): Promise<Buffer>
  /** Names in a directory. */
  list(directory: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes names in `directory` (creations, renames) durable. */
  syncDirectory(directory: string): Promise<void>
  makeDirectory(directory: string): Promise<void>
}

async function create(path: string, mode: number): Promise<DiskFile> {
  const handle = await open(path, 'wx+', mode)
  return {
    async write(bytes, position) {
      for (let done = 0; done < bytes.byteLength; ) {
        const { bytesWritten } = await handle.write(
          bytes,
          done,
          bytes.byteLength - done,
          position + done,
        )
        done += bytesWritten
      }
    },
    readBack(position, lengthBytes) {
      const bytes = Buffer.allocUnsafe(lengthBytes)
      return bytes.subarray(0, readSync(handle.fd, bytes, 0, lengthBytes, position))
    },
    sync: () => handle.sync(),
    close: () => handle.close(),
  }
}

export const realDisk: Disk = {
  create,
  read: (path) => readFile(path),
  list: (directory) => readdir(directory),
  rename,
  unlink,
  async syncDirectory(directory) {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  async makeDirectory(directory) {
    await mkdir(directory, { recursive: true })
  },
}
