/**
 * Records of many lines in one piece of memory that threads share, with the hash of each key. Lines
 * and numbers of values count from where the block begins, until `settleBlock` knows where that is.
 */
import { isBare, isWide } from '../key.ts'
import type { Value } from '../value.ts'
import { type EntryBuckets, entryWord } from './entry-buckets.ts'
import { jointBit, recordHeadBytes, recordKinds, recordUnitBytes, textValue } from './format.ts'
import { KeyHash, type Seed } from './key-hash.ts'
import { encodeRecord, type Origin, paddedLength } from './record.ts'
import { ValueTable } from './value-table.ts'

export interface PlainKey {
  readonly view: DataView
  start: number
  end: number
  /** A name for every domain of ours. */
  isBare: boolean
}

/** Room for the longest plain key and what stands around it. */
const plainRoomBytes = 1024
const firstBytes = 1 << 21
/** What a key without a domain ends in. */
const bareMark = 0x40
const sourceShift = 16
const kindShift = 30
const hashWords = 3

export class RecordBlock {
  /** Records one after the other, each padded to its unit. */
  bytes = new Uint8Array(new SharedArrayBuffer(firstBytes))
  lengthBytes = 0
  count = 0
  users = 0
  hasBareKeys = false
  hasWideKeys = false
  values: ValueTable
  /** Three words for each record. */
  hashes = new Uint32Array(hashWords * (1 << 15))
  #words = new Int32Array(this.bytes.buffer)
  readonly #hash: KeyHash

  constructor(seed: Seed, values = new ValueTable()) {
    this.#hash = new KeyHash(seed)
    this.values = values
  }

  clear(): void {
    this.lengthBytes = 0
    this.count = 0
    this.users = 0
    this.hasBareKeys = false
    this.hasWideKeys = false
  }

  /** A view of the words, for who settles the block. */
  get words(): Int32Array {
    return this.#words
  }

  addUser(origin: Origin, key: string, value: Value): void {
    const number = this.values.numberOf(value)
    const text = number === 0 ? JSON.stringify(value) : undefined
    this.#add(origin, key, number, text)
    if (origin.kind === 'user_map') this.users++
  }

  addAlias(origin: Origin, key: string, targets: readonly string[]): void {
    this.#add(origin, key, 0, JSON.stringify(targets))
  }

  #add(origin: Origin, key: string, number: number, text: string | undefined): void {
    if (isBare(key)) this.hasBareKeys = true
    if (isWide(key)) this.hasWideKeys = true
    const record = encodeRecord(origin, key, number === 0 ? textValue : number, text)
    this.#reserve(record.byteLength)
    this.bytes.set(record, this.lengthBytes)
    this.lengthBytes += record.byteLength
    this.#hash.hashText(key)
    this.#addHash()
  }

  /**
   * Adds a user whose key is ASCII and canonical but for the case of its letters, and whose value
   * has a number. The fast way for millions of lines: words, not bytes.
   */
  addPlainUser({ kind, source, line }: Origin, key: PlainKey, valueNumber: number): void {
    this.#reserve(plainRoomBytes)
    const words = this.#words
    const head = this.lengthBytes >>> 2
    const { view, start, end } = key
    let to = head + recordHeadBytes / 4
    let from = start
    for (; from + 4 <= end; from += 4) words[to++] = lowerCase(view.getInt32(from, true))
    let last = 0
    let bits = 0
    for (; from < end; from++, bits += 8) last |= view.getUint8(from) << bits
    last = lowerCase(last)
    let length = end - start
    if (key.isBare) {
      last |= bareMark << bits
      length++
      this.hasBareKeys = true
    }
    words[to++] = last
    words[to] = 0
    words[head] = line
    words[head + 1] = valueNumber
    words[head + 2] = length | (source << sourceShift) | (recordKinds.indexOf(kind) << kindShift)
    this.#hash.hashWords(words, head + recordHeadBytes / 4, length)
    this.lengthBytes += paddedLength(recordHeadBytes + length)
    this.#addHash()
    if (kind === 'user_map') this.users++
  }

  #addHash(): void {
    const at = this.count * hashWords
    if (at === this.hashes.length) {
      const grown = new Uint32Array(this.hashes.length * 2)
      grown.set(this.hashes)
      this.hashes = grown
    }
    const { high, low, check } = this.#hash
    this.hashes[at] = high
    this.hashes[at + 1] = low
    this.hashes[at + 2] = check
    this.count++
  }

  #reserve(count: number): void {
    const needed = this.lengthBytes + count
    if (needed <= this.bytes.length) return
    const length = Math.ceil(Math.max(needed, this.bytes.length * 2) / 8) * 8
    const grown = new Uint8Array(new SharedArrayBuffer(length))
    grown.set(this.bytes.subarray(0, this.lengthBytes))
    this.bytes = grown
    this.#words = new Int32Array(grown.buffer)
  }
}

/** Four ASCII bytes, letters made small. */
function lowerCase(word: number): number {
  // A byte's top bit is set where it is at least A, and not where it is above Z.
  const letters = (word + 0x3f3f3f3f) & ~(word + 0x25252525) & 0x80808080
  return word | (letters >>> 2)
}

/** Where a block stands in the database. */
export interface BlockPlace {
  /** Added to the line of every record. */
  readonly line: number
  /** Of the first record. */
  readonly reference: number
  /** The numbers of the block's values in the database; undefined: they are these. */
  readonly numbers: Uint32Array | undefined
}

/** Gives records their lines and the numbers of their values, and adds them to the index to be. */
export function settleBlock(block: RecordBlock, place: BlockPlace, entries: EntryBuckets): void {
  const { words, hashes, count } = block
  const { line, numbers } = place
  if (place.reference + block.lengthBytes / recordUnitBytes >= jointBit) {
    throw new RangeError('the sources are too big for one database')
  }
  const view = new DataView(block.bytes.buffer)
  let at = 0
  for (let record = 0; record < count; record++) {
    const word = at * 2
    words[word] = (words[word] as number) + line
    let number = (words[word + 1] as number) >>> 0
    const state = words[word + 2] as number
    let lengthBytes = recordHeadBytes + (state & 0xffff)
    if (number === textValue) {
      number = 0
      lengthBytes += 4 + view.getUint32(at * recordUnitBytes + lengthBytes, true)
    } else if (numbers !== undefined) {
      number = numbers[number] as number
      words[word + 1] = number
    }
    const hash = record * hashWords
    entries.add(
      hashes[hash] as number,
      hashes[hash + 1] as number,
      hashes[hash + 2] as number,
      entryWord(state >>> kindShift, number),
      place.reference + at,
    )
    at += (lengthBytes + recordUnitBytes - 1) >>> 3
  }
}
