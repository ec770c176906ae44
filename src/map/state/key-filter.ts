/**
 * Tells cheaply, of most keys that are not in a set, that they are not: looking every key of a busy
 * server up in a table of strings takes as long again as looking it up in the map.
 */
const fewestBits = 1 << 16
const bitsPerKey = 32

export class KeyFilter {
  #count = 0
  #bits = new Uint32Array(fewestBits / 32)
  readonly #keys: Pick<ReadonlyMap<string, unknown>, 'keys'>

  /** `keys`: all that were added; asked for when room runs out. */
  constructor(keys: Pick<ReadonlyMap<string, unknown>, 'keys'>) {
    this.#keys = keys
  }

  add(key: string): void {
    this.#count++
    if (this.#count * bitsPerKey <= this.#bits.length * 32) this.#set(key)
    else {
      this.#bits = new Uint32Array(this.#bits.length * 2)
      for (const one of this.#keys.keys()) this.#set(one)
      this.#set(key)
    }
  }

  /** False: the key was not added. */
  mayHave(key: string): boolean {
    if (this.#count === 0) return false
    const hash = hashOf(key) & (this.#bits.length * 32 - 1)
    return (((this.#bits[hash >>> 5] as number) >>> (hash & 31)) & 1) === 1
  }

  #set(key: string): void {
    const hash = hashOf(key) & (this.#bits.length * 32 - 1)
    this.#bits[hash >>> 5] = (this.#bits[hash >>> 5] as number) | (1 << (hash & 31))
  }
}

/** FNV-1a over UTF-16 units, its bits stirred so that the low ones are as good as the others. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5
  for (let index = 0; index < key.length; index++) {
    hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193)
  }
  return (hash ^ (hash >>> 15)) >>> 0
}
