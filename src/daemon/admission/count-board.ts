/**
 * Counts by key that all workers of a host share, without asking each other: each worker writes its
 * own column and reads all of them. A count is exact but for what two workers do within the same few
 * microseconds, and for keys that find no room; it never counts what is not there.
 *
 * A key has a row by its hash, and in each column of the row a few entries of eight bytes: the rest
 * of the hash (0: free), a stamp, the count. An entry with another stamp than those in use is free.
 */
import { KeyHash, type Seed } from '../../map/database/key-hash.ts'
import type { SharedBytes } from '../../storage/shared-bytes.ts'

const rows = 16_384
const entriesPerCell = 4
const entryBytes = 8
const cellBytes = entriesPerCell * entryBytes
const mostCounted = 0xffff

export interface BoardPlace {
  readonly bytes: SharedBytes
  /** Where in `bytes` it begins. */
  readonly offset: number
  readonly columns: number
  /** Whose entries are written. */
  readonly column: number
  readonly seed: Seed
}

/** The room that one board takes. */
export function boardBytes(columns: number): number {
  return rows * columns * cellBytes
}

export interface Counted {
  /** Over all workers. */
  readonly sum: number
  /** The same under the stamp that was kept. */
  readonly keptSum: number
  /** False where there was no room: it counts for this once, and is not to be taken back. */
  readonly isKept: boolean
}

export class CountBoard {
  readonly #place: BoardPlace
  readonly #hash: KeyHash
  readonly #row: Buffer
  #rowAt = 0
  #tag = 0

  constructor(place: BoardPlace) {
    this.#place = place
    this.#hash = new KeyHash(place.seed)
    this.#row = Buffer.alloc(place.columns * cellBytes)
  }

  /**
   * Adds to the count of a key, under `stamp`. Entries with a stamp that is neither this one nor
   * `kept` give way.
   */
  add(key: string, by: number, stamp = 0, kept = stamp): Counted {
    this.#read(key)
    const at = this.#ownEntry(stamp, kept)
    const keptSum = kept === stamp ? 0 : this.#sum(kept)
    if (at === undefined) {
      return { sum: this.#sum(stamp) + Math.max(0, by), keptSum, isKept: false }
    }
    const isOurs = this.#isEntry(at, stamp)
    const count = Math.min(mostCounted, Math.max(0, (isOurs ? this.#countAt(at) : 0) + by))
    this.#row.writeUInt32LE(count === 0 ? 0 : this.#tag, at)
    this.#row.writeUInt16LE(stamp, at + 4)
    this.#row.writeUInt16LE(count, at + 6)
    const entry = this.#row.subarray(at, at + entryBytes)
    const isKept = this.#place.bytes.write(entry, this.#rowAt + at)
    return { sum: this.#sum(stamp), keptSum, isKept }
  }

  /** The sums over all workers, under the two stamps. */
  sums(key: string, stamp: number, kept: number): Pick<Counted, 'sum' | 'keptSum'> {
    this.#read(key)
    return { sum: this.#sum(stamp), keptSum: this.#sum(kept) }
  }

  /** Forgets all that a worker counted, which is gone. */
  clear(column: number): void {
    const { bytes, offset, columns } = this.#place
    const chunkRows = 512
    const chunk = Buffer.alloc(chunkRows * columns * cellBytes)
    const words = new Uint32Array(chunk.buffer, chunk.byteOffset, chunk.length / 4)
    const empty = Buffer.alloc(cellBytes)
    for (let row = 0; row < rows; row += chunkRows) {
      const start = offset + row * columns * cellBytes
      bytes.read(chunk, start)
      for (let at = column * cellBytes; at < chunk.length; at += columns * cellBytes) {
        if (!isFree(words, at / 4)) bytes.write(empty, start + at)
      }
    }
  }

  #read(key: string): void {
    const { bytes, offset } = this.#place
    this.#hash.hashText(key)
    this.#tag = this.#hash.high === 0 ? 1 : this.#hash.high
    this.#rowAt = offset + (this.#hash.low % rows) * this.#row.length
    bytes.read(this.#row, this.#rowAt)
  }

  #countAt(at: number): number {
    return this.#row.readUInt16LE(at + 6)
  }

  #isEntry(at: number, stamp: number): boolean {
    return this.#row.readUInt32LE(at) === this.#tag && this.#row.readUInt16LE(at + 4) === stamp
  }

  /** Ours, or one that is free or has had its time. */
  #ownEntry(stamp: number, kept: number): number | undefined {
    const start = this.#place.column * cellBytes
    let free: number | undefined
    for (let at = start; at < start + cellBytes; at += entryBytes) {
      if (this.#isEntry(at, stamp)) return at
      const of = this.#row.readUInt16LE(at + 4)
      if (this.#row.readUInt32LE(at) === 0 || (of !== stamp && of !== kept)) free ??= at
    }
    return free
  }

  #sum(stamp: number): number {
    let sum = 0
    for (let at = 0; at < this.#row.length; at += entryBytes) {
      if (this.#isEntry(at, stamp)) sum += this.#countAt(at)
    }
    return sum
  }
}

/** Whether no entry of a cell has a hash; looked at in words, since there are many cells. */
function isFree(words: Uint32Array, cell: number): boolean {
  for (let entry = 0; entry < entriesPerCell; entry++) {
    if (words[cell + (entry * entryBytes) / 4] !== 0) return false
  }
  return true
}
