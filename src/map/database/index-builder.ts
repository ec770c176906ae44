/** From sorted entries to the index, the places beside it, and the joints of keys with several records. */
import type { EntryBuckets, SortedEntries } from './entry-buckets.ts'
import {
  homeSlot,
  jointBit,
  type RecordKind,
  recordKinds,
  referenceBit,
  slotWords,
} from './format.ts'

/** Filled: probes stay short, since slots are ordered by hash. Words a user: 3 / 0.85. */
const load = 0.85
const pairLimit = 1 << 20
const kindShift = 28
const numberMask = (1 << kindShift) - 1

/** The word of an entry: kind, and the number of its value; 0: the value is in the record. */
export function entryValue(kind: RecordKind, valueNumber: number): number {
  return (recordKinds.indexOf(kind) << kindShift) | valueNumber
}

/** Two records of one kind with one key: references, and whether values are surely the same. */
export interface Duplicate {
  readonly first: number
  readonly second: number
  /** Undefined where the records must be read to know. */
  readonly same: boolean | undefined
}

export interface BuiltIndex {
  readonly capacity: number
  /** `slotWords` numbers a slot. */
  readonly slots: Uint32Array
  readonly places: Uint32Array
  /** Three references each. */
  readonly joints: Uint32Array
  readonly keys: number
  /** Numbers of the values for delivery and retrieval; 0: none. */
  readonly pairs: readonly (readonly [number, number])[]
  readonly duplicates: readonly Duplicate[]
}

class Builder {
  readonly capacity: number
  slots: Uint32Array
  places: Uint32Array
  joints = new Uint32Array(96)
  jointCount = 0
  keys = 0
  next = 0
  readonly pairs: [number, number][] = []
  readonly duplicates: Duplicate[] = []
  readonly #pairNumbers = new Map<number, number>()

  constructor(count: number) {
    this.capacity = Math.max(8, Math.ceil(count / load))
    // What hashes to the end runs over it; by how much is known only afterwards.
    const length = this.capacity + 64
    this.slots = new Uint32Array(length * slotWords)
    this.places = new Uint32Array(length)
  }

  put(high: number, low: number, value: number, place: number): void {
    const slot = Math.max(this.next, homeSlot(high, this.capacity))
    if (slot + 1 >= this.places.length) this.#grow()
    const at = slot * slotWords
    this.slots[at] = high
    this.slots[at + 1] = low
    this.slots[at + 2] = value
    this.places[slot] = place
    this.next = slot + 1
    this.keys++
  }

  #grow(): void {
    const length = this.places.length + 4096
    const slots = new Uint32Array(length * slotWords)
    slots.set(this.slots)
    this.slots = slots
    const places = new Uint32Array(length)
    places.set(this.places)
    this.places = places
  }

  /** The number of a pair, or 0 where there are too many. */
  pairNumber(delivery: number, retrieval: number): number {
    const name = delivery * 2 ** 25 + retrieval
    const known = this.#pairNumbers.get(name)
    if (known !== undefined) return known
    if (this.pairs.length === pairLimit) return 0
    this.pairs.push([delivery, retrieval])
    this.#pairNumbers.set(name, this.pairs.length)
    return this.pairs.length
  }

  addJoint(references: readonly number[]): number {
    if (this.jointCount * 3 === this.joints.length) {
      const grown = new Uint32Array(this.joints.length * 2)
      grown.set(this.joints)
      this.joints = grown
    }
    this.joints.set(references, this.jointCount * 3)
    return (this.jointCount++ | jointBit) >>> 0
  }
}

/** Undefined where two keys share a hash: the file needs another seed. */
export function buildIndex(entries: EntryBuckets): BuiltIndex | undefined {
  const builder = new Builder(entries.count)
  for (const sorted of entries.drain()) {
    if (!addBucket(builder, sorted)) return undefined
  }
  // The last slot stays free: it ends every probe.
  const length = Math.max(builder.next, builder.capacity) + 1
  return {
    capacity: builder.capacity,
    slots: builder.slots.subarray(0, length * slotWords),
    places: builder.places.subarray(0, length),
    // An even number of them: what follows stands at a multiple of eight bytes.
    joints: builder.joints.subarray(0, (builder.jointCount + (builder.jointCount % 2)) * 3),
    keys: builder.keys,
    pairs: builder.pairs,
    duplicates: builder.duplicates,
  }
}

function addBucket(builder: Builder, sorted: SortedEntries): boolean {
  const { count, high, low, check } = sorted
  for (let start = 0; start < count; ) {
    let end = start + 1
    for (; end < count && high[end] === high[start] && low[end] === low[start]; end++) {
      if (check[end] !== check[start]) return false
    }
    addKey(builder, sorted, start, end)
    start = end
  }
  return true
}

function addKey(builder: Builder, sorted: SortedEntries, start: number, end: number): void {
  const { value, reference } = sorted
  const references = [0, 0, 0]
  const numbers = [0, 0, 0]
  let records = 0
  for (let place = start; place < end; place++) {
    const word = value[place] as number
    const own = reference[place] as number
    const kind = word >>> kindShift
    const number = word & numberMask
    const first = references[kind] as number
    if (first !== 0) {
      const bothKnown = number !== 0 && numbers[kind] !== 0
      const same = bothKnown ? number === numbers[kind] : undefined
      builder.duplicates.push({ first, second: own, same })
      continue
    }
    references[kind] = own
    numbers[kind] = number
    records++
  }
  const only = records === 1 ? references.find((one) => one !== 0) : undefined
  const place = only ?? builder.addJoint(references)
  const [alias, delivery, retrieval] = numbers as [number, number, number]
  const isPair =
    references[0] === 0 &&
    alias === 0 &&
    (delivery !== 0 || references[1] === 0) &&
    (retrieval !== 0 || references[2] === 0)
  const pair = isPair ? builder.pairNumber(delivery, retrieval) : 0
  const slotValue = pair === 0 ? (referenceBit | place) >>> 0 : pair
  builder.put(sorted.high[start] as number, sorted.low[start] as number, slotValue, place)
}
