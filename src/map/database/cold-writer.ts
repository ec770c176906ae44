/**
 * Writes the sections that stay on disk, one after the other, with a checksum for every block. What
 * is added is copied into a buffer; full buffers are written while the caller goes on.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '../../storage/disk.ts'
import { blockBytes, headerBytes } from './format.ts'

const bufferBytes = 256 * blockBytes
const pendingLimit = 16

export class ColdWriter {
  /** Room for `reserve`d bytes: the caller fills it from `at`. */
  buffer = Buffer.allocUnsafeSlow(bufferBytes)
  at = 0
  readonly #file: DiskFile
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
    return this.#flushed + this.at
  }

  /** Makes room for `count` bytes (at most a buffer less a block) at `at` of `buffer`. */
  reserve(count: number): void {
    if (this.at + count > bufferBytes) this.#flush(false)
  }

  append(bytes: Uint8Array): void {
    if (this.at + bytes.byteLength <= bufferBytes) {
      this.buffer.set(bytes, this.at)
      this.at += bytes.byteLength
      return
    }
    for (let done = 0; done < bytes.byteLength; ) {
      if (this.at === bufferBytes) this.#flush(false)
      const part = bytes.subarray(done, done + bufferBytes - this.at)
      this.buffer.set(part, this.at)
      this.at += part.byteLength
      done += part.byteLength
    }
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
    const whole = atEnd ? this.at : this.at - (this.at % blockBytes)
    if (whole === 0) return
    const full = this.buffer
    const position = headerBytes + this.#flushed
    for (let start = 0; start < whole; start += blockBytes) {
      this.#addSum(crc32(full.subarray(start, Math.min(start + blockBytes, whole))))
    }
    this.buffer = Buffer.allocUnsafeSlow(bufferBytes)
    full.copy(this.buffer, 0, whole, this.at)
    this.at -= whole
    this.#flushed += whole
    const writing = this.#file.write(full.subarray(0, whole), position).then(
      () => void this.#pending.delete(writing),
      (error: unknown) => {
        this.#failure ??= error
        this.#pending.delete(writing)
      },
    )
    this.#pending.add(writing)
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
