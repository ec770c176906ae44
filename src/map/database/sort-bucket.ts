/**
 * One bucket of entries becomes its stretch of the index: sorted by hash, a slot for each key. What
 * has no room in the stretch is handed back, and numbers of pairs and joints are the bucket's own
 * until `assembleIndex` knows what the buckets before it have.
 */
import {
  type BucketReader,
  bucketBits,
  entryWords,
  kindOfEntry,
  numberOfEntry,
} from './entry-buckets.ts'
import { homeSlot, jointBit, referenceBit, slotWords } from './format.ts'

/** Two records of one kind with one key: references, and whether values are surely the same. */
export interface Duplicate {
  readonly first: number
  readonly second: number
  /** Undefined where the records must be read to know. */
  readonly same: boolean | undefined
}

/** Numbers of the values for delivery and retrieval; 0: none. */
export type Pair = readonly [delivery: number, retrieval: number]

/** The index while it is made; threads write their stretches into it. */
export interface IndexSpace {
  readonly capacity: number
  /** `slotWords` numbers a slot. */
  readonly slots: Uint32Array
  /** One number a slot. */
  readonly places: Uint32Array
}

export interface BucketIndex {
  readonly bucket: number
  readonly keys: number
  /** Those that the caller has named, then the bucket's own. */
  readonly pairs: readonly Pair[]
  /** Three references each; numbered from 0. */
  readonly joints: readonly number[]
  readonly duplicates: readonly Duplicate[]
  /** Keys beyond the end of the stretch: four numbers each, as slot and place hold them. */
  readonly spilled: readonly number[]
}

/** The slots of a bucket, from the first on to the one of the next bucket. */
export function stretchOf(bucket: number, capacity: number): { start: number; end: number } {
  const step = 2 ** (32 - bucketBits)
  return {
    start: homeSlot(bucket * step, capacity),
    end: Math.min(homeSlot((bucket + 1) * step, capacity), capacity),
  }
}

export class BucketSorter {
  readonly #reader: BucketReader
  readonly #space: IndexSpace
  readonly #known: readonly Pair[]
  #entries = new Uint32Array(0)
  #order = new Uint32Array(0)
  #ends = new Uint32Array(0)

  constructor(reader: BucketReader, space: IndexSpace, known: readonly Pair[]) {
    this.#reader = reader
    this.#space = space
    this.#known = known
  }

  /** Undefined where two keys share a hash. */
  sort(bucket: number): BucketIndex | undefined {
    const count = this.#reader.countOf(bucket)
    if (count * entryWords > this.#entries.length) {
      this.#entries = new Uint32Array(Math.ceil(count * 1.2) * entryWords)
      this.#order = new Uint32Array(Math.ceil(count * 1.2))
    }
    this.#reader.copy(bucket, this.#entries)
    this.#sortEntries(count)
    const stretch = new Stretch(bucket, this.#space, this.#known)
    const isUnique = stretch.addAll(this.#entries, this.#order, count)
    return isUnique ? stretch : undefined
  }

  /** Counts entries by the bits of the hash that follow the bucket's, and then by comparing. */
  #sortEntries(count: number): void {
    const digitBits = Math.min(22, Math.max(1, Math.ceil(Math.log2(count + 1))))
    const digits = 1 << digitBits
    if (this.#ends.length < digits + 1) this.#ends = new Uint32Array(digits + 1)
    const ends = this.#ends.fill(0, 0, digits + 1)
    const entries = this.#entries
    const order = this.#order
    const shift = 32 - digitBits
    for (let at = 0, end = count * entryWords; at < end; at += entryWords) {
      const digit = ((entries[at] as number) << bucketBits) >>> shift
      ends[digit + 1] = (ends[digit + 1] as number) + 1
    }
    for (let digit = 1; digit <= digits; digit++) {
      ends[digit] = (ends[digit] as number) + (ends[digit - 1] as number)
    }
    for (let number = 0, at = 0; number < count; number++, at += entryWords) {
      const digit = ((entries[at] as number) << bucketBits) >>> shift
      const place = ends[digit] as number
      order[place] = number
      ends[digit] = place + 1
    }
    sortNearly(entries, order, count)
  }
}

/** An entry that is further from its place than this stands among many of one hash. */
const nearLimit = 64

/** Entries are near their places; where many have one hash, they are sorted as a whole. */
function sortNearly(entries: Uint32Array, order: Uint32Array, count: number): void {
  for (let place = 1; place < count; place++) {
    const moved = order[place] as number
    let back = place
    for (; back > 0 && isAfter(entries, order[back - 1] as number, moved); back--) {
      order[back] = order[back - 1] as number
    }
    order[back] = moved
    if (place - back < nearLimit) continue
    order.subarray(0, count).sort((one, other) => (isAfter(entries, one, other) ? 1 : -1))
    return
  }
}

/** True where an entry comes after another: by both lanes of the hash, then as records stand. */
function isAfter(entries: Uint32Array, one: number, other: number): boolean {
  const first = one * entryWords
  const second = other * entryWords
  const high = (entries[first] as number) - (entries[second] as number)
  if (high !== 0) return high > 0
  const low = (entries[first + 1] as number) - (entries[second + 1] as number)
  if (low !== 0) return low > 0
  return (entries[first + 4] as number) > (entries[second + 4] as number)
}

class Stretch implements BucketIndex {
  readonly bucket: number
  keys = 0
  readonly pairs: Pair[]
  readonly joints: number[] = []
  readonly duplicates: Duplicate[] = []
  readonly spilled: number[] = []
  readonly #space: IndexSpace
  readonly #end: number
  #next: number
  readonly #pairNumbers = new Map<number, number>()

  constructor(bucket: number, space: IndexSpace, known: readonly Pair[]) {
    this.bucket = bucket
    this.pairs = [...known]
    for (const [index, pair] of known.entries()) this.#pairNumbers.set(nameOf(...pair), index + 1)
    this.#space = space
    const { start, end } = stretchOf(bucket, space.capacity)
    this.#next = start
    this.#end = end
  }

  addAll(entries: Uint32Array, order: Uint32Array, count: number): boolean {
    for (let start = 0; start < count; ) {
      const first = (order[start] as number) * entryWords
      let end = start + 1
      for (; end < count; end++) {
        const at = (order[end] as number) * entryWords
        if (entries[at] !== entries[first] || entries[at + 1] !== entries[first + 1]) break
        if (entries[at + 2] !== entries[first + 2]) return false
      }
      if (end === start + 1) this.#addSingle(entries, first)
      else this.#addSeveral(entries, order.subarray(start, end))
      start = end
    }
    return true
  }

  #addSingle(entries: Uint32Array, at: number): void {
    const word = entries[at + 3] as number
    const kind = kindOfEntry(word)
    const number = numberOfEntry(word)
    const reference = entries[at + 4] as number
    let value = (referenceBit | reference) >>> 0
    if (number !== 0 && kind === 1) value = this.#pairNumber(number, 0)
    else if (number !== 0 && kind === 2) value = this.#pairNumber(0, number)
    this.#put(entries[at] as number, entries[at + 1] as number, value, reference)
  }

  #addSeveral(entries: Uint32Array, order: Uint32Array): void {
    const references = [0, 0, 0]
    const numbers = [0, 0, 0]
    let records = 0
    for (const entry of order) {
      const at = entry * entryWords
      const word = entries[at + 3] as number
      const own = entries[at + 4] as number
      const kind = kindOfEntry(word)
      const number = numberOfEntry(word)
      const first = references[kind] as number
      if (first !== 0) {
        const bothKnown = number !== 0 && numbers[kind] !== 0
        const same = bothKnown ? number === numbers[kind] : undefined
        this.duplicates.push({ first, second: own, same })
        continue
      }
      references[kind] = own
      numbers[kind] = number
      records++
    }
    const only = records === 1 ? references.find((one) => one !== 0) : undefined
    const place = only ?? this.#addJoint(references)
    const [alias, delivery, retrieval] = numbers as [number, number, number]
    const isPair =
      references[0] === 0 &&
      alias === 0 &&
      (delivery !== 0 || references[1] === 0) &&
      (retrieval !== 0 || references[2] === 0)
    const value = isPair ? this.#pairNumber(delivery, retrieval) : (referenceBit | place) >>> 0
    const at = (order[0] as number) * entryWords
    this.#put(entries[at] as number, entries[at + 1] as number, value, place)
  }

  #pairNumber(delivery: number, retrieval: number): number {
    const name = nameOf(delivery, retrieval)
    const known = this.#pairNumbers.get(name)
    if (known !== undefined) return known
    this.pairs.push([delivery, retrieval])
    this.#pairNumbers.set(name, this.pairs.length)
    return this.pairs.length
  }

  #addJoint(references: readonly number[]): number {
    this.joints.push(...references)
    return (this.joints.length / 3 - 1) | jointBit
  }

  #put(high: number, low: number, value: number, place: number): void {
    const { capacity, slots, places } = this.#space
    this.keys++
    const slot = Math.max(this.#next, homeSlot(high, capacity))
    if (slot >= this.#end) {
      this.spilled.push(high, low, value, place)
      return
    }
    const at = slot * slotWords
    slots[at] = high
    slots[at + 1] = low
    slots[at + 2] = value
    places[slot] = place
    this.#next = slot + 1
  }
}

function nameOf(delivery: number, retrieval: number): number {
  return delivery * 2 ** 25 + retrieval
}
