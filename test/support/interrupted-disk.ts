/**
 * The real disk, with one call that fails half-way: a write that wrote half, a rename that did not
 * happen. It reports a full disk, or `code`, once (`fails`) or from then on (`is broken`), or kills the process.
 */
import {
  type Disk,
  type FileFacts,
  type FileOwner,
  type FoundFile,
  realDisk,
  type UpdatedFile,
} from '../../src/storage/disk.ts'

export class InterruptedDisk implements Disk {
  calls = 0
  readonly #failAt: number
  readonly #mode: 'fails' | 'is broken' | 'killed'
  readonly #code: string

  readonly read = (path: string): Promise<Buffer> => realDisk.read(path)
  readonly list = (directory: string): Promise<string[]> => realDisk.list(directory)
  readonly factsOf = (path: string): Promise<FileFacts> => realDisk.factsOf(path)
  readonly ownerOf = (path: string): Promise<FileOwner> => realDisk.ownerOf(path)
  readonly resolve = (path: string): Promise<string> => realDisk.resolve(path)

  constructor(failAt: number, mode: 'fails' | 'is broken' | 'killed', code = 'ENOSPC') {
    this.#failAt = failAt
    this.#mode = mode
    this.#code = code
  }

  async #step(half: () => Promise<unknown> = () => Promise.resolve()): Promise<void> {
    this.calls++
    const isBroken = this.#mode === 'is broken' && this.calls > this.#failAt
    if (this.calls !== this.#failAt && !isBroken) return
    await half()
    if (this.#mode === 'killed') process.kill(process.pid, 'SIGKILL')
    throw Object.assign(new Error(`call ${this.calls}: no space left`), { code: this.#code })
  }

  async create(path: string, owner: FileOwner): Promise<UpdatedFile> {
    await this.#step()
    return this.#wrap((await realDisk.create(path, owner)) as UpdatedFile)
  }

  async openToUpdate(path: string): Promise<UpdatedFile> {
    await this.#step()
    return this.#wrap(await realDisk.openToUpdate(path))
  }

  async openFound(path: string): Promise<FoundFile> {
    await this.#step()
    const file = await realDisk.openFound(path)
    return {
      ...this.#wrap(file),
      facts: file.facts,
      read: (position, length) => file.read(position, length),
    }
  }

  #wrap(file: UpdatedFile): UpdatedFile {
    return {
      write: async (bytes, position) => {
        await this.#step(() => file.write(bytes.subarray(0, bytes.length >> 1), position))
        await file.write(bytes, position)
      },
      sync: () => this.#step().then(() => file.sync()),
      truncate: (sizeBytes) => this.#step().then(() => file.truncate(sizeBytes)),
      readBack: (position, length) => file.readBack(position, length),
      close: () => file.close(),
    }
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#step()
    await realDisk.rename(from, to)
  }

  async link(from: string, to: string): Promise<void> {
    await this.#step()
    await realDisk.link(from, to)
  }

  async unlink(path: string): Promise<void> {
    await this.#step()
    await realDisk.unlink(path)
  }

  async syncDirectory(directory: string): Promise<void> {
    await this.#step()
    await realDisk.syncDirectory(directory)
  }

  async makeDirectory(directory: string, mode?: number): Promise<void> {
    await this.#step()
    await realDisk.makeDirectory(directory, mode)
  }
}
