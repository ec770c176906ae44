/**
 * Stands where a new database would be written, and compares every byte with the database in force.
 * What must be read back is kept in a temporary file without a name.
 */
import { openRandomAccess, type RandomAccess } from '../../storage/random-access.ts'
import type { DiskFile } from '../../storage/disk.ts'
import { openScratch, type Scratch } from '../../storage/scratch.ts'

export class ComparingFile implements DiskFile {
  readonly #known: RandomAccess
  readonly #scratch: Scratch
  #differs = false

  constructor(path: string) {
    this.#known = openRandomAccess(path)
    this.#scratch = openScratch()
  }

  write(bytes: Uint8Array, position: number): Promise<void> {
    const known = Buffer.allocUnsafe(bytes.byteLength)
    const got = this.#known.readInto(known, position)
    if (got !== bytes.byteLength || !known.equals(bytes)) this.#differs = true
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
    this.#known.close()
    this.#scratch.close()
    return Promise.resolve()
  }

  /** True where all that was written, `fileBytes` in all, is what is in force. */
  isEqual(fileBytes: number): boolean {
    return !this.#differs && this.#known.sizeBytes === fileBytes
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
