/**
 * The hash of a key: two lanes of 32 bits that the index keeps, and a third that only the builder
 * sees, to tell another key from the same key. Seeded per file; four bytes a step, after MurmurHash3
 * with the lanes fed into each other. The same for bytes (builder) and for text (lookup).
 */

export type Seed = readonly [number, number]

function stir(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35)
  return mixed ^ (mixed >>> 16)
}

export class KeyHash {
  /** The results of the last call, unsigned. */
  high = 0
  low = 0
  check = 0
  readonly #seedHigh: number
  readonly #seedLow: number
  #scratch = Buffer.alloc(2048)

  constructor([high, low]: Seed) {
    this.#seedHigh = high | 0
    this.#seedLow = low | 0
  }

  hashBytes(bytes: Uint8Array, start: number, end: number): void {
    let high = this.#seedHigh
    let low = this.#seedLow
    let check = 0x9e3779b9
    let at = start
    for (; at + 4 <= end; at += 4) {
      const word =
        (bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24)
      const mixed = Math.imul(word, 0xcc9e2d51)
      const other = Math.imul(word, 0x1b873593)
      high = Math.imul(high ^ ((mixed << 15) | (mixed >>> 17)), 5) + low
      high = (high << 13) | (high >>> 19)
      low = Math.imul(low ^ ((other << 16) | (other >>> 16)), 0x2545f491) + high
      low = (low << 17) | (low >>> 15)
      check = Math.imul(check ^ word, 0x5bd1e995)
      check = (check << 11) | (check >>> 21)
    }
    let word = end - start
    for (; at < end; at++) word = (word << 8) | (bytes[at] as number)
    high = stir(high ^ Math.imul(word, 0xcc9e2d51))
    low = stir((low ^ Math.imul(word, 0x1b873593)) + high)
    high = stir(high + low)
    this.high = high >>> 0
    this.low = low >>> 0
    this.check = stir(check ^ word) >>> 0
  }

  hashText(text: string): void {
    const { length } = text
    if (length * 3 > this.#scratch.length) this.#scratch = Buffer.alloc(length * 3)
    const scratch = this.#scratch
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      if (code > 127) return this.hashBytes(scratch, 0, scratch.write(text, 'utf8'))
      scratch[index] = code
    }
    return this.hashBytes(scratch, 0, length)
  }
}
