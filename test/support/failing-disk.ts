/**
 * A disk in memory that forgets, when power goes, what was not synced: contents of files as well as
 * names in directories. The call with the number `failAt` fails, and everything after it, until the
 * disk is mended.
 */
import { basename, dirname } from 'node:path'
import type { Disk, FileFacts, FileOwner, FoundFile, UpdatedFile } from '../../src/storage/disk.ts'

interface StoredFile {
  bytes: Buffer
  /** What a crash leaves. */
  synced: Buffer
}

export class FailingDisk implements Disk {
  calls = 0
  #failAt: number
  readonly #renames: 'durable at once' | 'durable when synced'
  readonly #unlinks: 'always work' | 'fail too'
  readonly #names = new Map<string, StoredFile>()
  #durableNames = new Map<string, StoredFile>()

  /** Before its directory is synced, a rename may be on the medium already, or not: both are bad. */
  constructor(
    failAt = Infinity,
    renames: 'durable at once' | 'durable when synced' = 'durable at once',
    unlinks: 'always work' | 'fail too' = 'always work',
  ) {
    this.#failAt = failAt
    this.#unlinks = unlinks
    this.#renames = renames
  }

  /** From now on every call works. */
  mend(): void {
    this.#failAt = Infinity
  }

  /** A disk that works, with what this one holds after the power went and came back, or after a kill. */
  after(end: 'power cut' | 'kill'): FailingDisk {
    const disk = new FailingDisk()
    const names = end === 'kill' ? this.#names : this.#durableNames
    for (const [name, { bytes, synced }] of names) disk.put(name, end === 'kill' ? bytes : synced)
    return disk
  }

  /** Puts a file there, synced. */
  put(path: string, bytes: Buffer): void {
    const file = { bytes, synced: bytes }
    this.#names.set(path, file)
    this.#durableNames.set(path, file)
  }

  /** Names of all files, as a running system sees them. */
  get names(): string[] {
    return [...this.#names.keys()]
  }

  /** What stands under a name after the power went and came back. */
  afterPowerCut(path: string): Buffer | undefined {
    return this.#durableNames.get(path)?.synced
  }

  /** What stands under a name where only the process has died. */
  afterKill(path: string): Buffer | undefined {
    return this.#names.get(path)?.bytes
  }

  #step(): void {
    this.calls++
    if (this.calls >= this.#failAt) {
      throw Object.assign(new Error(`call ${this.calls} fails`), { code: 'EIO', syscall: 'write' })
    }
  }

  async create(path: string): Promise<UpdatedFile> {
    this.#step()
    const file: StoredFile = { bytes: Buffer.alloc(0), synced: Buffer.alloc(0) }
    this.#names.set(path, file)
    return this.#open(file)
  }

  async openToUpdate(path: string): Promise<UpdatedFile> {
    return this.#open(this.#fileAt(path))
  }

  #open(file: StoredFile): UpdatedFile {
    return {
      write: async (bytes, position) => {
        this.#step()
        const length = Math.max(file.bytes.length, position + bytes.byteLength)
        const grown = Buffer.alloc(length)
        file.bytes.copy(grown)
        grown.set(bytes, position)
        file.bytes = grown
      },
      readBack: (position, length) => Buffer.from(file.bytes.subarray(position, position + length)),
      sync: async () => {
        this.#step()
        file.synced = Buffer.from(file.bytes)
      },
      truncate: async (sizeBytes) => {
        this.#step()
        file.bytes = Buffer.from(file.bytes.subarray(0, sizeBytes))
      },
      close: async () => undefined,
    }
  }

  async openFound(path: string): Promise<FoundFile> {
    const file = this.#fileAt(path)
    return {
      ...this.#open(file),
      facts: factsOf(file),
      read: async (position, length) =>
        Buffer.from(file.bytes.subarray(position, position + length)),
    }
  }

  async factsOf(path: string): Promise<FileFacts> {
    if (this.#isDirectory(path)) return folder
    return factsOf(this.#fileAt(path))
  }

  /** Directories need not be made. */
  #isDirectory(path: string): boolean {
    return !basename(path).includes('.')
  }

  #fileAt(path: string): StoredFile {
    const file = this.#names.get(path)
    if (file === undefined) throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    return file
  }

  async read(path: string): Promise<Buffer> {
    return this.#fileAt(path).bytes
  }

  async ownerOf(path: string): Promise<FileOwner> {
    if (this.#isDirectory(path)) return { mode: 0o700 }
    this.#fileAt(path)
    return { mode: 0o640 }
  }

  async resolve(path: string): Promise<string> {
    return path
  }

  async list(directory: string): Promise<string[]> {
    return this.names.filter((name) => dirname(name) === directory).map((name) => basename(name))
  }

  async rename(from: string, to: string): Promise<void> {
    this.#step()
    const file = this.#fileAt(from)
    this.#names.delete(from)
    this.#names.set(to, file)
    if (this.#renames === 'durable when synced') return
    // The contents are only what was synced.
    this.#durableNames.delete(from)
    this.#durableNames.set(to, file)
  }

  async link(from: string, to: string): Promise<void> {
    this.#step()
    if (this.#names.has(to)) throw Object.assign(new Error('it exists'), { code: 'EEXIST' })
    this.#names.set(to, this.#fileAt(from))
  }

  async unlink(path: string): Promise<void> {
    if (this.#unlinks === 'fail too') this.#step()
    if (this.#renames === 'durable at once') this.#durableNames.delete(path)
    if (!this.#names.delete(path)) {
      throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
    }
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#step()
    const isHere = ([name]: readonly [string, StoredFile]): boolean => dirname(name) === directory
    this.#durableNames = new Map([
      ...[...this.#durableNames].filter((one) => !isHere(one)),
      ...[...this.#names].filter(isHere),
    ])
  }

  async makeDirectory(): Promise<void> {
    this.#step()
  }
}

const folder: FileFacts = { kind: 'folder', names: 2, user: 0, sizeBytes: 0, changedAt: 0 }

function factsOf({ bytes }: StoredFile): FileFacts {
  return { kind: 'file', names: 1, user: 0, sizeBytes: bytes.length, changedAt: 0 }
}
