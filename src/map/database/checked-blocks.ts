/** Bytes of a section, from blocks whose checksums are right. */
import { crc32 } from 'node:zlib'
import type { RandomAccess } from '../../storage/random-access.ts'
import { blockBytes } from './format.ts'

export interface BlockSection {
  /** Of the section in the file. */
  readonly offset: number
  readonly length: number
  /** CRC-32 of each block. */
  readonly sums: Uint32Array
}

export class CheckedBlocks {
  readonly #file: RandomAccess
  readonly #section: BlockSection

  constructor(file: RandomAccess, section: BlockSection) {
    this.#file = file
    this.#section = section
  }

  /** `at` counts from the begin of the section. Undefined where a block is damaged or not there. */
  read(at: number, count: number): Buffer | undefined {
    const { offset, length, sums } = this.#section
    const first = Math.floor(at / blockBytes)
    const start = first * blockBytes
    const end = Math.min(Math.ceil((at + count) / blockBytes) * blockBytes, length)
    const bytes = Buffer.allocUnsafe(end - start)
    if (this.#file.readInto(bytes, offset + start) !== bytes.length) return undefined
    for (let from = 0, block = first; from < bytes.length; from += blockBytes, block++) {
      if (crc32(bytes.subarray(from, from + blockBytes)) !== sums[block]) return undefined
    }
    return bytes.subarray(at - start, at - start + count)
  }
}
