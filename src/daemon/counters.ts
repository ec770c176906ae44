/** Counts by name and labels, and their sums over workers. docs/events.md lists the names. */
import type { Counters } from './runtime.ts'

export type Counts = Readonly<Record<string, number>>

export class CounterTable implements Counters {
  readonly #counts = new Map<string, number>()

  count(name: string, labels = '', by = 1): void {
    const key = labels === '' ? name : `${name}:${labels}`
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + by)
  }

  snapshot(): Counts {
    return Object.fromEntries(this.#counts)
  }
}

/** The sum of several tables. */
export function sumCounts(tables: Iterable<Counts>): Counts {
  const sum = new Map<string, number>()
  for (const table of tables) {
    for (const [key, count] of Object.entries(table)) sum.set(key, (sum.get(key) ?? 0) + count)
  }
  return Object.fromEntries(sum)
}

/** Every count of one name: its labels and its value. */
export function countsOf(
  counts: Counts,
  name: string,
): { readonly labels: readonly string[]; readonly count: number }[] {
  const prefix = `${name}:`
  return Object.entries(counts)
    .filter(([key]) => key.startsWith(prefix))
    .map(([key, count]) => ({ labels: key.slice(prefix.length).split(','), count }))
}
