/** Numbers for the values that users share; what few users share stays in their records. */
import type { Value } from '../value.ts'

/** More distinct values than back-ends and refusals would ever need: the rest are other names. */
export const sharedLimit = 1 << 16

export class ValueTable {
  readonly values: Value[] = []
  readonly #numbers = new Map<string, number>()

  /** Takes the values of another table, which has counted them so. */
  static of(values: readonly Value[]): ValueTable {
    const table = new ValueTable()
    for (const value of values) table.numberOf(value)
    return table
  }

  has(value: Value): boolean {
    return this.#numbers.has(JSON.stringify(value))
  }

  /** From 1; 0 where the value belongs into the record. */
  numberOf(value: Value): number {
    // Another name is one user's own: it would only fill the table.
    if (value.kind === 'rename') return 0
    const name = JSON.stringify(value)
    const known = this.#numbers.get(name)
    if (known !== undefined) return known
    if (this.values.length === sharedLimit) return 0
    this.values.push(value)
    this.#numbers.set(name, this.values.length)
    return this.values.length
  }
}
