/**
 * Collects the entries of an index while sources are read: five words each, divided by the top bits
 * of the hash so that each part can be sorted where the processor's cache holds it.
 */

export const bucketBits = 8
const bucketCount = 1 << bucketBits
const entryWords = 5
const chunkBits = 10
const chunkEntries = 1 << chunkBits
const chunkMask = chunkEntries - 1

/** Entries of one bucket as columns, ordered by both lanes of the hash; then as they came. */
export interface SortedEntries {
  readonly count: number
  readonly high: Uint32Array
  readonly low: Uint32Array
  readonly check: Uint32Array
  readonly value: Uint32Array
  readonly reference: Uint32Array
}

interface Bucket {
  readonly chunks: Uint32Array[]
  /** Entries in the last chunk. */
  used: number
}

export class EntryBuckets {
  count = 0
  readonly #buckets: Bucket[] = Array.from({ length: bucketCount }, () => ({
    chunks: [],
    used: chunkEntries,
  }))

  // Five numbers, not an object: this runs once for each of millions of users.
  // oxlint-disable-next-line max-params
  add(high: number, low: number, check: number, value: number, reference: number): void {
    const bucket = this.#buckets[high >>> (32 - bucketBits)] as Bucket
    if (bucket.used === chunkEntries) {
      bucket.chunks.push(new Uint32Array(chunkEntries * entryWords))
      bucket.used = 0
    }
    const chunk = bucket.chunks[bucket.chunks.length - 1] as Uint32Array
    const at = bucket.used * entryWords
    chunk[at] = high
    chunk[at + 1] = low
    chunk[at + 2] = check
    chunk[at + 3] = value
    chunk[at + 4] = reference
    bucket.used++
    this.count++
  }

  /** The buckets in the order of the hash; each is given up as it is handed out. */
  *drain(): Generator<SortedEntries> {
    for (const bucket of this.#buckets) {
      if (bucket.chunks.length > 0) yield sortBucket(bucket)
      bucket.chunks.length = 0
    }
  }
}

function sortBucket({ chunks, used }: Bucket): SortedEntries {
  const count = (chunks.length - 1) * chunkEntries + used
  const order = orderOf(chunks, count)
  const sorted: SortedEntries = {
    count,
    high: new Uint32Array(count),
    low: new Uint32Array(count),
    check: new Uint32Array(count),
    value: new Uint32Array(count),
    reference: new Uint32Array(count),
  }
  for (let place = 0; place < count; place++) {
    const number = order[place] as number
    const chunk = chunks[number >>> chunkBits] as Uint32Array
    const at = (number & chunkMask) * entryWords
    sorted.high[place] = chunk[at] as number
    sorted.low[place] = chunk[at + 1] as number
    sorted.check[place] = chunk[at + 2] as number
    sorted.value[place] = chunk[at + 3] as number
    sorted.reference[place] = chunk[at + 4] as number
  }
  sortTies(sorted)
  return sorted
}

/** Numbers of the entries by high lane: lane and number fit into a double, which sorts natively. */
function orderOf(chunks: readonly Uint32Array[], count: number): Float64Array {
  const numberBits = 2 ** 21
  if (count > numberBits) return orderOfMany(chunks, count)
  const order = new Float64Array(count)
  for (let number = 0; number < count; number++) {
    const chunk = chunks[number >>> chunkBits] as Uint32Array
    order[number] = (chunk[(number & chunkMask) * entryWords] as number) * numberBits + number
  }
  order.sort()
  for (let place = 0; place < count; place++) {
    order[place] = (order[place] as number) % numberBits
  }
  return order
}

/** Above two million entries a bucket (500 million users) the number has no room beside the lane. */
function orderOfMany(chunks: readonly Uint32Array[], count: number): Float64Array {
  const highOf = (number: number): number =>
    chunks[number >>> chunkBits]?.[(number & chunkMask) * entryWords] ?? 0
  const order = Float64Array.from({ length: count }, (_, number) => number)
  return order.sort((one, other) => highOf(one) - highOf(other) || one - other)
}

/** Brings entries with the same high lane (few, and near each other) into the order of the low. */
function sortTies({ count, ...columns }: SortedEntries): void {
  const { high, low } = columns
  const all = Object.values(columns)
  for (let place = 1; place < count; place++) {
    for (
      let back = place;
      back > 0 &&
      high[back] === high[back - 1] &&
      (low[back] as number) < (low[back - 1] as number);
      back--
    ) {
      for (const column of all) {
        const moved = column[back] as number
        column[back] = column[back - 1] as number
        column[back - 1] = moved
      }
    }
  }
}
