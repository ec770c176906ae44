/** Whether the times of two kinds of answers can be told apart. */

/** A sample of times, in milliseconds. */
export type Times = readonly number[]

export function quantile(times: Times, share: number): number {
  const sorted = times.toSorted((left, right) => left - right)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN
}

export interface Comparison {
  /** How often the one is slower than the other, of all pairs: 0.5 where nothing tells them apart. */
  readonly slower: number
  /** By how many standard errors that differs from 0.5. */
  readonly z: number
}

/** Mann and Whitney: ranks of both in one order, those of equal times shared. */
export function compare(one: Times, other: Times): Comparison {
  const all = [
    ...one.map((ms) => ({ ms, isOne: true })),
    ...other.map((ms) => ({ ms, isOne: false })),
  ]
  all.sort((left, right) => left.ms - right.ms)
  let rankSum = 0
  for (let start = 0; start < all.length; ) {
    let end = start
    while (end < all.length && all[end]?.ms === all[start]?.ms) end++
    const rank = (start + end + 1) / 2
    for (const { isOne } of all.slice(start, end)) if (isOne) rankSum += rank
    start = end
  }
  const pairs = one.length * other.length
  const wins = rankSum - (one.length * (one.length + 1)) / 2
  const error = Math.sqrt((one.length + other.length + 1) / (12 * pairs))
  return { slower: wins / pairs, z: (wins / pairs - 0.5) / error }
}
