/** From entries to the index, the places beside it, and the joints of keys with several records. */
import { type BucketIndex, BucketSorter, type Duplicate } from './sort-bucket.ts'
import { type IndexSpace, type Pair, stretchOf } from './sort-bucket.ts'
import { bucketCount, BucketReader, type SharedEntries } from './entry-buckets.ts'
import { jointBit, referenceBit, slotWords } from './format.ts'

/** Filled: probes stay short, since slots are ordered by hash. Words a user: 3 / 0.85. */
const load = 0.85
const pairLimit = 1 << 20
/** Slots for what hashes to the end and runs over it: as a rule, enough. */
const spareSlots = 64

export interface BuiltIndex extends IndexSpace {
  /** Three references each. */
  readonly joints: Uint32Array
  readonly keys: number
  readonly pairs: readonly Pair[]
  readonly duplicates: readonly Duplicate[]
}

/** What threads need to sort buckets. */
export interface SortJob {
  readonly sources: readonly SharedEntries[]
  readonly space: IndexSpace
  /** Pairs that most buckets have, so that their numbers need not be changed. */
  readonly known: readonly Pair[]
}

/** Sorts the buckets from a number on; undefined for one where two keys share a hash. */
export type SortBuckets = (
  job: SortJob,
  firstBucket: number,
) => Promise<readonly (BucketIndex | undefined)[]>

function sortHere(
  { sources, space, known }: SortJob,
  firstBucket: number,
): ReturnType<SortBuckets> {
  const sorter = new BucketSorter(new BucketReader(sources), space, known)
  const count = bucketCount - firstBucket
  return Promise.resolve(
    Array.from({ length: count }, (_, number) => sorter.sort(firstBucket + number)),
  )
}

/** Undefined where two keys share a hash: the file needs another seed. */
export async function buildIndex(
  sources: readonly SharedEntries[],
  sortBuckets: SortBuckets = sortHere,
): Promise<BuiltIndex | undefined> {
  const space = spaceFor(sources.reduce((sum, { count }) => sum + count, 0))
  const first = new BucketSorter(new BucketReader(sources), space, []).sort(0)
  if (first === undefined) return undefined
  const sorted = [first]
  for (const bucket of await sortBuckets({ sources, space, known: first.pairs }, 1)) {
    if (bucket === undefined) return undefined
    sorted[bucket.bucket] = bucket
  }
  return new Assembly(space).finish(sorted)
}

function spaceFor(count: number): IndexSpace {
  const capacity = Math.max(8, Math.ceil(count / load))
  const length = capacity + spareSlots
  return { capacity, slots: sharedWords(length * slotWords), places: sharedWords(length) }
}

function sharedWords(length: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(length * Uint32Array.BYTES_PER_ELEMENT))
}

/** Joins the stretches of all buckets. */
class Assembly {
  readonly #capacity: number
  #slots: Uint32Array
  #places: Uint32Array
  #keys = 0
  readonly #pairs: Pair[] = []
  readonly #pairNumbers = new Map<string, number>()
  readonly #joints: number[][] = []
  #jointCount = 0
  readonly #duplicates: Duplicate[] = []
  /** Slots that have no room where their hash leads them, four numbers each. */
  #carried: number[] = []

  constructor({ capacity, slots, places }: IndexSpace) {
    this.#capacity = capacity
    this.#slots = slots
    this.#places = places
  }

  finish(buckets: readonly BucketIndex[]): BuiltIndex {
    for (const bucket of buckets) this.#add(bucket)
    const end = this.#appendCarried()
    // The last slot stays free: it ends every probe.
    const length = Math.max(end, this.#capacity) + 1
    // An even number of them: what follows stands at a multiple of eight bytes.
    const joints = new Uint32Array((this.#jointCount + (this.#jointCount % 2)) * 3)
    let at = 0
    for (const part of this.#joints) {
      joints.set(part, at)
      at += part.length
    }
    return {
      capacity: this.#capacity,
      slots: this.#slots.subarray(0, length * slotWords),
      places: this.#places.subarray(0, length),
      joints,
      keys: this.#keys,
      pairs: this.#pairs,
      duplicates: this.#duplicates,
    }
  }

  #add(index: BucketIndex): void {
    const { start, end } = stretchOf(index.bucket, this.#capacity)
    const numbers = this.#numberPairs(index.pairs)
    const isSame = numbers.every((number, own) => number === own)
    const spilled = [...index.spilled]
    if (!isSame || (index.joints.length > 0 && this.#jointCount > 0)) {
      this.#renumber(start, end, numbers)
      this.#renumberSpilled(spilled, numbers)
    }
    this.#keys += index.keys
    if (index.joints.length > 0) this.#joints.push([...index.joints])
    this.#jointCount += index.joints.length / 3
    for (const duplicate of index.duplicates) this.#duplicates.push(duplicate)
    this.#insertCarried(start, end)
    this.#carried = this.#carried.length === 0 ? spilled : [...this.#carried, ...spilled]
  }

  /** Own number → number in the database, 0 where there are too many. */
  #numberPairs(pairs: readonly Pair[]): number[] {
    const numbers = [0]
    for (const pair of pairs) {
      const name = pair.join()
      let number = this.#pairNumbers.get(name) ?? 0
      if (number === 0 && this.#pairs.length < pairLimit) {
        number = this.#pairs.push(pair)
        this.#pairNumbers.set(name, number)
      }
      numbers.push(number)
    }
    return numbers
  }

  #renumber(start: number, end: number, numbers: readonly number[]): void {
    for (let slot = start; slot < end; slot++) {
      const at = slot * slotWords + 2
      const value = this.#slots[at] as number
      if (value === 0) continue
      const place = this.#placeOf(this.#places[slot] as number)
      this.#places[slot] = place
      this.#slots[at] = valueOf(value, place, numbers)
    }
  }

  #renumberSpilled(spilled: number[], numbers: readonly number[]): void {
    for (let at = 0; at < spilled.length; at += 4) {
      const place = this.#placeOf(spilled[at + 3] as number)
      spilled[at + 3] = place
      spilled[at + 2] = valueOf(spilled[at + 2] as number, place, numbers)
    }
  }

  #placeOf(place: number): number {
    return (place & jointBit) === 0 ? place : place + this.#jointCount
  }

  /** What is carried comes before all that has its home here, and moves it on to the next free slot. */
  #insertCarried(start: number, end: number): void {
    const carried = this.#carried
    let first = 0
    for (let slot = start; slot < end && first < carried.length; slot++, first += 4) {
      const at = slot * slotWords
      if (this.#slots[at + 2] !== 0) {
        const place = this.#places[slot] as number
        carried.push(...this.#slots.subarray(at, at + slotWords), place)
      }
      this.#setSlot(slot, carried, first)
    }
    if (first > 0) this.#carried = carried.slice(first)
  }

  #setSlot(slot: number, numbers: readonly number[], from: number): void {
    for (let word = 0; word < slotWords; word++) {
      this.#slots[slot * slotWords + word] = numbers[from + word] as number
    }
    this.#places[slot] = numbers[from + slotWords] as number
  }

  /** Returns where the last slot ends. */
  #appendCarried(): number {
    const carried = this.#carried
    const count = carried.length / 4
    const end = this.#capacity + count
    if (end + 1 > this.#places.length) {
      const slots = new Uint32Array((end + 1) * slotWords)
      slots.set(this.#slots)
      this.#slots = slots
      const places = new Uint32Array(end + 1)
      places.set(this.#places)
      this.#places = places
    }
    for (let number = 0; number < count; number++) {
      this.#setSlot(this.#capacity + number, carried, number * 4)
    }
    return count === 0 ? 0 : end
  }
}

function valueOf(value: number, place: number, numbers: readonly number[]): number {
  const number = value >= referenceBit ? 0 : (numbers[value] as number)
  return number === 0 ? (referenceBit | place) >>> 0 : number
}
