/** Sets of UIDs as IMAP writes them: `1:5,9`. RFC 9051 section 9, `sequence-set`. */

export type UidRange = readonly [first: number, last: number]

export class UidSet {
  /** Rising, apart from each other. */
  readonly ranges: readonly UidRange[]

  private constructor(ranges: readonly UidRange[]) {
    this.ranges = ranges
  }

  static readonly empty = new UidSet([])

  /** Numbers in rising order. */
  static of(uids: Iterable<number>): UidSet {
    const ranges: [number, number][] = []
    for (const uid of uids) {
      const last = ranges.at(-1)
      if (last !== undefined && uid === last[1] + 1) last[1] = uid
      else ranges.push([uid, uid])
    }
    return new UidSet(ranges)
  }

  /** Of a server's text, in whatever order; what is no number in it is left out. */
  static parse(text: string): UidSet {
    const ranges = text.split(',').flatMap((part): [number, number][] => {
      const [first = Number.NaN, last = first] = part.split(':').map(Number)
      return first > 0 && last > 0 ? [[Math.min(first, last), Math.max(first, last)]] : []
    })
    ranges.sort(([one], [other]) => one - other)
    const joined: [number, number][] = []
    for (const [first, last] of ranges) {
      const before = joined.at(-1)
      if (before !== undefined && first <= before[1] + 1) before[1] = Math.max(before[1], last)
      else joined.push([first, last])
    }
    return new UidSet(joined)
  }

  get size(): number {
    return this.ranges.reduce((sum, [first, last]) => sum + last - first + 1, 0)
  }

  get isEmpty(): boolean {
    return this.ranges.length === 0
  }

  has(uid: number): boolean {
    let low = 0
    let high = this.ranges.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.ranges[middle]?.[1] ?? 0) < uid) low = middle + 1
      else high = middle
    }
    return (this.ranges[low]?.[0] ?? Number.POSITIVE_INFINITY) <= uid
  }

  /** What is in this set and not in the other. */
  minus(other: UidSet): UidSet {
    const left: UidRange[] = []
    let index = 0
    for (const [start, last] of this.ranges) {
      let first = start
      while (index < other.ranges.length && (other.ranges[index]?.[1] ?? 0) < first) index++
      for (let at = index; at < other.ranges.length; at++) {
        const [from, to] = other.ranges[at] ?? [0, 0]
        if (from > last) break
        if (from > first) left.push([first, from - 1])
        first = to + 1
      }
      if (first <= last) left.push([first, last])
    }
    return new UidSet(left)
  }

  /** Parts of at most so many UIDs, rising. */
  *chunks(count: number): Generator<UidSet, void, undefined> {
    let part: UidRange[] = []
    let room = count
    for (const [start, last] of this.ranges) {
      for (let first = start; first <= last; ) {
        const end = Math.min(last, first + room - 1)
        part.push([first, end])
        room -= end - first + 1
        first = end + 1
        if (room > 0) continue
        yield new UidSet(part)
        part = []
        room = count
      }
    }
    if (part.length > 0) yield new UidSet(part)
  }

  *[Symbol.iterator](): Generator<number, void, undefined> {
    for (const [first, last] of this.ranges) {
      for (let uid = first; uid <= last; uid++) yield uid
    }
  }

  toString(): string {
    return this.ranges
      .map(([first, last]) => (first === last ? `${first}` : `${first}:${last}`))
      .join()
  }
}
