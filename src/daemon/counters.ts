/** Counts by name and labels, and their sums over workers. docs/events.md lists the names. */
import type { Counters } from './runtime.ts'

export type Counts = Readonly<Record<string, number>>

export class CounterTable implements Counters {
  /** By name and labels. */
  readonly #counts = new Map<string, Map<string, { count: number }>>()

  count(name: string, labels = '', by = 1): void {
    const known = this.#counts.get(name)?.get(labels)
    if (known === undefined) this.#begin(name, labels, by)
    else known.count += by
  }

  snapshot(): Counts {
    const all = [...this.#counts].flatMap(([name, counts]) =>
      [...counts].map(([labels, { count }]) => [labels === '' ? name : `${name}:${labels}`, count]),
    )
    return Object.fromEntries(all)
  }

  #begin(name: string, labels: string, count: number): void {
    const counts = this.#counts.get(name) ?? new Map<string, { count: number }>()
    this.#counts.set(name, counts)
    counts.set(labels, { count })
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
