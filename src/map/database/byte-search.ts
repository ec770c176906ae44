/**
 * Looks for names in records without making text of them: a change searches every alias of a map, and
 * only few have to be read. ASCII letters compare without case.
 */

/** In other letters, in escapes and as parts of names, a name may be written otherwise. */
const unsure = 1
const begins = 2

export class ByteSearch {
  /** What each byte is. */
  readonly #kinds = new Uint8Array(256)
  readonly #namesByFirst = new Map<number, Buffer[]>()

  constructor(names: Iterable<string>) {
    for (let byte = 0; byte < 256; byte++) {
      const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x25 && byte !== 0x5c
      this.#kinds[byte] = isPlain ? 0 : unsure
    }
    for (const name of names) {
      const bytes = Buffer.from(name.toLowerCase())
      const [first] = bytes
      // Names with such bytes are found by these.
      if (first === undefined || bytes.some((byte) => this.#kinds[byte] === unsure)) continue
      const others = this.#namesByFirst.get(first)
      if (others === undefined) this.#namesByFirst.set(first, [bytes])
      else others.push(bytes)
    }
    for (const first of this.#namesByFirst.keys()) {
      this.#kinds[first] = begins
      this.#kinds[String.fromCharCode(first).toUpperCase().charCodeAt(0)] = begins
    }
  }

  /** True where a name may be in the bytes from `start` up to `end`. */
  mayFind(bytes: Buffer, start: number, end: number): boolean {
    for (let at = start; at < end; at++) {
      const kind = this.#kinds[bytes[at] as number]
      if (kind === unsure) return true
      if (kind === begins && this.#isName(bytes, at, end)) return true
    }
    return false
  }

  #isName(bytes: Buffer, at: number, end: number): boolean {
    for (const name of this.#namesByFirst.get(lowered(bytes[at] as number)) ?? []) {
      if (name.length <= end - at && isAt(name, bytes, at)) return true
    }
    return false
  }
}

function isAt(name: Buffer, bytes: Buffer, at: number): boolean {
  for (let index = 1; index < name.length; index++) {
    if (lowered(bytes[at + index] as number) !== name[index]) return false
  }
  return true
}

/** An ASCII letter as a small one. */
export function lowered(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte
}
