/**
 * The door to the disk for everything that must survive a crash: the calls that can lose data go
 * through here, so that a test can make each of them fail in turn (test/support/failing-disk.ts).
 */
import { constants, readSync, type Stats } from 'node:fs'
import {
  copyFile,
  type FileHandle,
  link,
  lstat,
  mkdir,
  open,
  readdir,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises'
import { dirname } from 'node:path'
import { ownAsDirectory } from './own-as-directory.ts'

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

/** A file that exists, open for changing it where it is. */
export interface UpdatedFile extends DiskFile {
  /** Cuts off what is beyond `sizeBytes`. */
  truncate(sizeBytes: number): Promise<void>
}

/** A file in a folder of ours that anybody may have put there: what it is, and its contents. */
export interface FoundFile extends UpdatedFile {
  readonly facts: FileFacts
  /** What is there from `position` on; shorter at the end of the file. */
  read(position: number, lengthBytes: number): Promise<Buffer>
}

export interface FileFacts {
  readonly kind: 'file' | 'folder' | 'other'
  /** How many names it has. */
  readonly names: number
  readonly user: number
  readonly sizeBytes: number
  /** Milliseconds since 1970. */
  readonly changedAt: number
}

/** Whose a file is; a new one is this process's where nothing else is said. */
export interface FileOwner {
  readonly mode: number
  readonly user?: number
  readonly group?: number
}

export interface Disk {
  /** Creates `path` anew for writing; fails with EEXIST where it exists. */
  create(path: string, owner: FileOwner): Promise<DiskFile>
  /** Fails with ENOENT where there is none. */
  openToUpdate(path: string): Promise<UpdatedFile>
  /**
   * Opens to read and append what may be anything: no link is followed (ELOOP), no pipe waited for.
   * The caller looks at `facts` first.
   */
  openFound(path: string): Promise<FoundFile>
  /** Of the name itself, links not followed. */
  factsOf(path: string): Promise<FileFacts>
  ownerOf(path: string): Promise<FileOwner>
  /** The path of the file itself, links followed. */
  resolve(path: string): Promise<string>
  /** The whole of a regular file. */
  read(path: string): Promise<Buffer>
  /** Names in a directory. */
  list(directory: string): Promise<string[]>
  rename(from: string, to: string): Promise<void>
  /** Gives a file a second name, or copies it where there can be none; fails with EEXIST. */
  link(from: string, to: string): Promise<void>
  unlink(path: string): Promise<void>
  /** Makes names in `directory` (creations, renames) durable. */
  syncDirectory(directory: string): Promise<void>
  /** Those above it too; `mode` is that of the last one where it is made, less the umask. */
  makeDirectory(directory: string, mode?: number): Promise<void>
}

async function create(path: string, owner: FileOwner): Promise<DiskFile> {
  const handle = await open(path, 'wx+', owner.mode)
  try {
    await give(handle, owner)
  } catch (error) {
    await handle.close()
    throw error
  }
  return fileOf(handle)
}

/** The open of a named pipe would wait for a writer, and a device has no end. */
async function readRegular(path: string): Promise<Buffer> {
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    const found = await handle.stat()
    // A directory is refused by the system, in its own words.
    if (!found.isFile() && !found.isDirectory()) throw new Error(`${path} is not a regular file`)
    return await handle.readFile()
  } finally {
    await handle.close()
  }
}

/** Only root may give a file away; for anybody else it stays with who writes it. */
async function give(handle: FileHandle, { mode, user, group }: FileOwner): Promise<void> {
  if (user === undefined || group === undefined) return
  const { uid, gid } = await handle.stat()
  if (uid !== user || gid !== group) {
    await handle.chown(user, group).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPERM') throw error
    })
  }
  await handle.chmod(mode)
}

function fileOf(handle: FileHandle): UpdatedFile {
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
    truncate: (sizeBytes) => handle.truncate(sizeBytes),
    close: () => handle.close(),
  }
}

/** A pipe without another end must not hold us up, and no link may lead elsewhere; open(2). */
const foundFlags = constants.O_RDWR | constants.O_NOFOLLOW | constants.O_NONBLOCK

async function openFound(path: string): Promise<FoundFile> {
  const handle = await open(path, foundFlags)
  try {
    const facts = factsIn(await handle.stat())
    return {
      ...fileOf(handle),
      facts,
      async read(position, lengthBytes) {
        const bytes = Buffer.allocUnsafe(lengthBytes)
        for (let done = 0; done < lengthBytes; ) {
          const left = lengthBytes - done
          const { bytesRead } = await handle.read(bytes, done, left, position + done)
          if (bytesRead === 0) return bytes.subarray(0, done)
          done += bytesRead
        }
        return bytes
      },
    }
  } catch (error) {
    await handle.close()
    throw error
  }
}

function factsIn(state: Stats): FileFacts {
  return {
    kind: state.isFile() ? 'file' : state.isDirectory() ? 'folder' : 'other',
    names: state.nlink,
    user: state.uid,
    sizeBytes: state.size,
    changedAt: state.mtimeMs,
  }
}

/** What the system says where a file system has no links, or not one more. */
const noLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK'])

async function linkOrCopy(from: string, to: string): Promise<void> {
  try {
    await link(from, to)
  } catch (error) {
    if (!noLinks.has((error as NodeJS.ErrnoException).code ?? '')) throw error
    await copyWhole(from, to)
  }
}

/** The name appears with the whole contents, on the medium. */
async function copyWhole(from: string, to: string): Promise<void> {
  const temporary = `${to}.tmp`
  await copyFile(from, temporary, constants.COPYFILE_FICLONE)
  const handle = await open(temporary, 'r+')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(temporary, to)
}

/** Step by step: with `recursive`, Node tries for ever where a folder takes no folders, as /proc. */
/** `isLast`: what it stands in has been made for it. */
async function makeDirectory(directory: string, mode = 0o755, isLast = false): Promise<void> {
  try {
    // Whatever the umask leaves open.
    await mkdir(directory, mode)
    ownAsDirectory(directory)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const isThere = await stat(directory).then(
      (found) => found.isDirectory(),
      () => false,
    )
    if (isThere) return
    if (code !== 'ENOENT' || isLast) throw error
    // Somebody else may make it in the same moment.
    await makeDirectory(dirname(directory))
    await makeDirectory(directory, mode, true)
  }
}

export const realDisk: Disk = {
  create,
  openToUpdate: async (path) => fileOf(await open(path, 'r+')),
  openFound,
  factsOf: async (path) => factsIn(await lstat(path)),
  resolve: (path) => realpath(path),
  async ownerOf(path) {
    const { mode, uid, gid } = await stat(path)
    return { mode: mode & 0o7777, user: uid, group: gid }
  },
  read: readRegular,
  list: (directory) => readdir(directory),
  rename,
  link: linkOrCopy,
  unlink,
  async syncDirectory(directory) {
    const handle = await open(directory, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  },
  makeDirectory: (directory, mode) => makeDirectory(directory, mode),
}
