/**
 * Collects the entries of an index while sources are read: five words each, divided by the top bits
 * of the hash, so that each part can be sorted where the processor's cache holds it. The memory can
 * be read by other threads once all entries are in.
 */
import { type RecordKind, recordKinds } from './format.ts'

export const bucketBits = 9
export const bucketCount = 1 << bucketBits
export const entryWords = 5
const chunkEntries = 256
const chunkWords = chunkEntries * entryWords
const slabChunks = 512
const kindShift = 28
const numberMask = (1 << kindShift) - 1

/** What an entry says: kind, and the number of its value; 0: the value is in the record. */
export function entryWord(kind: number, valueNumber: number): number {
  return (kind << kindShift) | valueNumber
}

export function entryValue(kind: RecordKind, valueNumber: number): number {
  return entryWord(recordKinds.indexOf(kind), valueNumber)
}

export function kindOfEntry(word: number): number {
  return word >>> kindShift
}

export function numberOfEntry(word: number): number {
  return word & numberMask
}

/** The entries of one thread, as others can read them. */
export interface SharedEntries {
  readonly count: number
  readonly slabs: readonly SharedArrayBuffer[]
  /** Numbers of each bucket's chunks. */
  readonly chunks: readonly (readonly number[])[]
  /** Entries in the last chunk of each. */
  readonly used: Uint32Array
}

export class EntryBuckets {
  count = 0
  readonly #slabs: Uint32Array<SharedArrayBuffer>[] = []
  #chunkCount = 0
  readonly #chunks: number[][] = Array.from({ length: bucketCount }, () => [])
  readonly #used = new Uint32Array(bucketCount).fill(chunkEntries)
  /** Where the next entry of a bucket goes: the slab, and the word in it. */
  readonly #slabOf: Uint32Array<SharedArrayBuffer>[] = []
  readonly #at = new Uint32Array(bucketCount)

  // Five numbers, not an object: this runs once for each of millions of users.
  // oxlint-disable-next-line max-params
  add(high: number, low: number, check: number, word: number, reference: number): void {
    const bucket = high >>> (32 - bucketBits)
    if (this.#used[bucket] === chunkEntries) this.#extend(bucket)
    const slab = this.#slabOf[bucket] as Uint32Array
    const at = this.#at[bucket] as number
    slab[at] = high
    slab[at + 1] = low
    slab[at + 2] = check
    slab[at + 3] = word
    slab[at + 4] = reference
    this.#at[bucket] = at + entryWords
    this.#used[bucket] = (this.#used[bucket] as number) + 1
    this.count++
  }

  #extend(bucket: number): void {
    const chunk = this.#chunkCount++
    const slabNumber = Math.floor(chunk / slabChunks)
    // The system gives pages as they are written to, so a slab costs a small map nothing.
    this.#slabs[slabNumber] ??= new Uint32Array(
      new SharedArrayBuffer(slabChunks * chunkWords * Uint32Array.BYTES_PER_ELEMENT),
    )
    this.#slabOf[bucket] = this.#slabs[slabNumber]
    this.#at[bucket] = (chunk % slabChunks) * chunkWords
    this.#chunks[bucket]?.push(chunk)
    this.#used[bucket] = 0
  }

  share(): SharedEntries {
    const slabs = this.#slabs.map(({ buffer }) => buffer)
    return { count: this.count, slabs, chunks: this.#chunks, used: this.#used }
  }
}

/** Reads the buckets of several threads as one. */
export class BucketReader {
  readonly #sources: readonly { entries: SharedEntries; slabs: readonly Uint32Array[] }[]

  constructor(sources: readonly SharedEntries[]) {
    this.#sources = sources.map((entries) => ({
      entries,
      slabs: entries.slabs.map((slab) => new Uint32Array(slab)),
    }))
  }

  countOf(bucket: number): number {
    let count = 0
    for (const { entries } of this.#sources) {
      const chunks = entries.chunks[bucket]?.length ?? 0
      if (chunks > 0) count += (chunks - 1) * chunkEntries + (entries.used[bucket] as number)
    }
    return count
  }

  /** Copies a bucket's entries into `target`, which has room for them. */
  copy(bucket: number, target: Uint32Array): void {
    let at = 0
    for (const { entries, slabs } of this.#sources) {
      const chunks = entries.chunks[bucket] ?? []
      for (const [index, chunk] of chunks.entries()) {
        const isLast = index === chunks.length - 1
        const words = (isLast ? (entries.used[bucket] as number) : chunkEntries) * entryWords
        const start = (chunk % slabChunks) * chunkWords
        const slab = slabs[Math.floor(chunk / slabChunks)] as Uint32Array
        target.set(slab.subarray(start, start + words), at)
        at += words
      }
    }
  }
}
