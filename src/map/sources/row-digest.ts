/**
 * A digest of rows that does not depend on their order, since two queries may give it differently:
 * the sum of the digests of the rows.
 */
import { hash } from 'node:crypto'

const words = 8

export class RowDigest {
  readonly #sum = new Uint32Array(words)
  #count = 0

  add(key: string, value: string): void {
    const digest = hash('sha256', `${key}\0${value}`, 'buffer')
    let carry = 0
    for (let word = 0; word < words; word++) {
      const total = (this.#sum[word] as number) + digest.readUInt32LE(word * 4) + carry
      this.#sum[word] = total
      carry = total > 0xffffffff ? 1 : 0
    }
    this.#count++
  }

  get text(): string {
    return `${this.#count}:${[...this.#sum].join('.')}`
  }
}
