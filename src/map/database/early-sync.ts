/**
 * Lets the disk work while a big file is made: what was written is synced in the background, so that
 * the sync at the end has little left to do.
 */
import type { DiskFile } from '../../storage/disk.ts'

const syncEveryBytes = 1 << 26

export class EarlySync implements DiskFile {
  readonly #file: DiskFile
  #written = 0
  #syncing: Promise<void> | undefined
  #failure: unknown

  constructor(file: DiskFile) {
    this.#file = file
  }

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.#file.write(bytes, position)
    this.#written += bytes.byteLength
    if (this.#written < syncEveryBytes || this.#syncing !== undefined) return
    this.#written = 0
    this.#syncing = this.#file
      .sync()
      .catch((error: unknown) => {
        // The system tells of pages that it has lost once: a later sync would not know.
        this.#failure ??= error
      })
      .finally(() => {
        this.#syncing = undefined
      })
  }

  readBack(position: number, lengthBytes: number): Buffer {
    return this.#file.readBack(position, lengthBytes)
  }

  /** Ends what goes on in the background. Throws what it has met. */
  async sync(): Promise<void> {
    await this.#syncing
    if (this.#failure !== undefined) throw this.#failure
  }

  async close(): Promise<void> {
    await this.#syncing
  }
}
