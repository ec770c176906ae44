/** Stands where a new database would be written, in a file that is never published. */
import type { DiskFile } from '../../storage/disk.ts'
import { openScratch } from '../../storage/scratch.ts'

export class ScratchFile implements DiskFile {
  readonly #scratch = openScratch()

  write(bytes: Uint8Array, position: number): Promise<void> {
    this.#scratch.write(bytes, position)
    return Promise.resolve()
  }

  readBack(position: number, lengthBytes: number): Buffer {
    return this.#scratch.read(position, lengthBytes)
  }

  sync(): Promise<void> {
    return Promise.resolve()
  }

  close(): Promise<void> {
    this.end()
    return Promise.resolve()
  }

  /** Gives the file up, with all that was written. */
  end(): void {
    this.#scratch.close()
  }
}
