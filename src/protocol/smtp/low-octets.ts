/**
 * Finds the octets below 14 in a chunk (NUL, LF, CR and other controls): all that a message's framing
 * hangs on. Four octets are looked at at once, since text has one line end in dozens of octets.
 */
const bound = 14
const ones = 0x01010101
const highBits = 0x80808080 | 0
const minimumChunk = 32

const none = new Int32Array(0)

export class LowOctets {
  readonly #chunk: Buffer
  readonly #words: Int32Array
  /** Index in the chunk of the first octet that a word may begin at. */
  readonly #first: number

  constructor(chunk: Buffer) {
    this.#chunk = chunk
    this.#first = -chunk.byteOffset & 3
    this.#words =
      chunk.length < minimumChunk
        ? none
        : new Int32Array(
            chunk.buffer,
            chunk.byteOffset + this.#first,
            (chunk.length - this.#first) >> 2,
          )
  }

  /** Index of the first low octet at or after `at`; the chunk's length where there is none. */
  next(at: number): number {
    const chunk = this.#chunk
    const { length } = chunk
    let index = at
    while (index < length) {
      const word = (index - this.#first) >> 2
      const isAligned = ((index - this.#first) & 3) === 0 && index >= this.#first
      if (isAligned && word < this.#words.length) {
        index = this.#first + 4 * this.#skipWords(word)
        if (index === length) return length
        const end = Math.min(index + 4, length)
        for (; index < end; index++) if ((chunk[index] as number) < bound) return index
      } else {
        if ((chunk[index] as number) < bound) return index
        index++
      }
    }
    return length
  }

  /** The first word from `word` on that has a low octet (or the number of words). */
  #skipWords(word: number): number {
    const words = this.#words
    let index = word
    for (; index < words.length; index++) {
      const value = words[index] as number
      // An octet b < 14 borrows into its own high bit, which b itself does not have.
      if (((value - bound * ones) & ~value & highBits) !== 0) break
    }
    return index
  }
}
