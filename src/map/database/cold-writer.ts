/**
 * Writes the sections that stay on disk, one after the other, with a checksum for every block. What
 * is added is copied into a buffer, or written from where it is; the caller goes on meanwhile.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '../../storage/disk.ts'
import { blockBytes, headerBytes } from './format.ts'

const bufferBytes = 256 * blockBytes
const pendingLimit = 16

/** The checksum of every block of `bytes`, the last of which may be short. */
export function sumBlocks(bytes: Uint8Array): Uint32Array {
  return Uint32Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, block) =>
    crc32(bytes.subarray(block * blockBytes, (block + 1) * blockBytes)),
  )
}

/** Which of `length` bytes are whole blocks where so many bytes come before them. */
export function wholeBlocks(before: number, length: number): { start: number; end: number } {
  const start = Math.min((blockBytes - (before % blockBytes)) % blockBytes, length)
  return { start, end: length - ((length - start) % blockBytes) }
}

export class ColdWriter {
  readonly #file: DiskFile
  #buffer = Buffer.allocUnsafeSlow(bufferBytes)
  #at = 0
  #flushed = 0
  #sums = new Uint32Array(1024)
  #sumCount = 0
  readonly #pending = new Set<Promise<void>>()
  #failure: unknown

  constructor(file: DiskFile) {
    this.#file = file
  }

  /** Bytes added so far; the first stands at `headerBytes` of the file. */
  get lengthBytes(): number {
    return this.#flushed + this.#at
  }

  append(bytes: Uint8Array): void {
    for (let done = 0; done < bytes.byteLength; ) {
      if (this.#at === bufferBytes) this.#flush(false)
      const part = bytes.subarray(done, done + bufferBytes - this.#at)
      this.#buffer.set(part, this.#at)
      this.#at += part.byteLength
      done += part.byteLength
    }
  }

  /** Adds bytes that stay as they are until it returns; `sums` are those of their whole blocks. */
  async appendLasting(bytes: Uint8Array, sums?: Uint32Array): Promise<void> {
    const { start, end } = wholeBlocks(this.lengthBytes, bytes.byteLength)
    this.append(bytes.subarray(0, start))
    if (end > start) {
      this.#flush(false)
      const whole = bytes.subarray(start, end)
      for (const sum of sums ?? sumBlocks(whole)) this.#addSum(sum)
      const writing = this.#write(whole)
      this.append(bytes.subarray(end))
      await writing
    } else this.append(bytes.subarray(end))
  }

  /** Waits until little is left to be written. Throws what a write has met. */
  async settle(limit = pendingLimit): Promise<void> {
    while (this.#pending.size > limit) await Promise.race(this.#pending)
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Ends the last block; returns the checksums. */
  async finish(): Promise<Uint32Array> {
    this.#flush(true)
    await this.settle(0)
    return this.#sums.slice(0, this.#sumCount)
  }

  /** Writes whole blocks; a begun block stays in the buffer unless this is the end. */
  #flush(atEnd: boolean): void {
    const whole = atEnd ? this.#at : this.#at - (this.#at % blockBytes)
    if (whole === 0) return
    const full = this.#buffer.subarray(0, whole)
    for (const sum of sumBlocks(full)) this.#addSum(sum)
    const rest = this.#buffer.subarray(whole, this.#at)
    if (whole < bufferBytes / 4) {
      void this.#write(Buffer.from(full))
      this.#buffer.copyWithin(0, whole, this.#at)
    } else {
      this.#buffer = Buffer.allocUnsafeSlow(bufferBytes)
      rest.copy(this.#buffer)
      void this.#write(full)
    }
    this.#at = rest.length
  }

  /** Resolves in any case; a failure is told by `settle`. */
  #write(bytes: Uint8Array): Promise<void> {
    const writing = this.#file.write(bytes, headerBytes + this.#flushed).then(
      () => void this.#pending.delete(writing),
      (error: unknown) => {
        this.#failure ??= error
        this.#pending.delete(writing)
      },
    )
    this.#flushed += bytes.byteLength
    this.#pending.add(writing)
    return writing
  }

  #addSum(sum: number): void {
    if (this.#sumCount === this.#sums.length) {
      const grown = new Uint32Array(this.#sums.length * 2)
      grown.set(this.#sums)
      this.#sums = grown
    }
    this.#sums[this.#sumCount++] = sum
  }
}
