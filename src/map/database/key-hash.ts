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
  #words = new Int32Array(512)
  #scratch = Buffer.from(this.#words.buffer)

  constructor([high, low]: Seed) {
    this.#seedHigh = high | 0
    this.#seedLow = low | 0
  }

  /** Of `length` bytes that begin at a word; what follows them in the last word does not count. */
  hashWords(words: Int32Array, start: number, length: number): void {
    let high = this.#seedHigh
    let low = this.#seedLow
    let check = 0x9e3779b9
    const whole = start + (length >>> 2)
    for (let at = start; at < whole; at++) {
      const word = words[at] as number
      const mixed = Math.imul(word, 0xcc9e2d51)
      const other = Math.imul(word, 0x1b873593)
      high = Math.imul(high ^ ((mixed << 15) | (mixed >>> 17)), 5) + low
      high = (high << 13) | (high >>> 19)
      low = Math.imul(low ^ ((other << 16) | (other >>> 16)), 0x2545f491) + high
      low = (low << 17) | (low >>> 15)
      check = Math.imul(check ^ word, 0x5bd1e995)
      check = (check << 11) | (check >>> 21)
    }
    let word = length
    const rest = length & 3
    if (rest > 0) {
      const last = words[whole] as number
      for (let byte = 0; byte < rest; byte++) word = (word << 8) | ((last >>> (byte * 8)) & 0xff)
    }
    high = stir(high ^ Math.imul(word, 0xcc9e2d51))
    low = stir((low ^ Math.imul(word, 0x1b873593)) + high)
    high = stir(high + low)
    this.high = high >>> 0
    this.low = low >>> 0
    this.check = stir(check ^ word) >>> 0
  }

  hashText(text: string): void {
    const { length } = text
    if (length * 3 > this.#scratch.length) this.#grow(length * 3)
    const words = this.#words
    const whole = length & ~3
    let all = 0
    let index = 0
    // Whole words: one that was stored as bytes would have to wait until it can be loaded.
    for (let at = 0; index < whole; index += 4, at++) {
      const first = text.charCodeAt(index)
      const second = text.charCodeAt(index + 1)
      const third = text.charCodeAt(index + 2)
      const fourth = text.charCodeAt(index + 3)
      all |= first | second | third | fourth
      words[at] = first | (second << 8) | (third << 16) | (fourth << 24)
    }
    let last = 0
    for (let bits = 0; index < length; index++, bits += 8) {
      const code = text.charCodeAt(index)
      all |= code
      last |= code << bits
    }
    words[whole >>> 2] = last
    if (all > 127) return this.hashWords(words, 0, this.#scratch.write(text, 'utf8'))
    return this.hashWords(words, 0, length)
  }

  #grow(lengthBytes: number): void {
    this.#words = new Int32Array(Math.ceil(lengthBytes / 4))
    this.#scratch = Buffer.from(this.#words.buffer)
  }
}
