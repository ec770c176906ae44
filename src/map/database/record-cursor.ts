/**
 * Goes through all records of a database in the order of the sources, in big pieces of the file, and
 * compares them as bytes: millions of them must not become millions of objects.
 */
import type { ByteSearch } from './byte-search.ts'
import {
  headerBytes,
  type RecordKind,
  recordHeadBytes,
  recordKinds,
  recordUnitBytes,
  textValue,
} from './format.ts'
import { decodeHead, paddedLength, type StoredRecord } from './record.ts'

export interface RecordBytes {
  /** Where records end, in bytes from the start of the file. */
  readonly end: number
  /** Bytes of the file, checked. */
  read(at: number, lengthBytes: number): Buffer
  damaged(what: string): never
}

const windowBytes = 1 << 20
const longestRecordBytes = 1 << 26

export class RecordCursor {
  readonly #file: RecordBytes
  #window: Buffer = Buffer.alloc(0)
  #windowAt = headerBytes
  /** Of the current record, within the window. */
  #at = 0
  #textAt = 0
  #lengthBytes = recordUnitBytes
  #isThere = false

  /** Stands before the first record: what is at reference 0 is none. */
  constructor(file: RecordBytes) {
    this.#file = file
  }

  /** False before the first record, and after the last. */
  get isThere(): boolean {
    return this.#isThere
  }

  /** Goes to the next record; false at the end. */
  next(): boolean {
    this.#at += paddedLength(this.#lengthBytes)
    this.#isThere = this.#windowAt + this.#at < this.#file.end
    if (!this.#isThere) {
      this.#lengthBytes = 0
      return false
    }
    this.#need(recordHeadBytes)
    const keyBytes = this.#window.readUInt16LE(this.#at + 8)
    this.#textAt = recordHeadBytes + keyBytes
    this.#lengthBytes = this.#textAt
    if (this.valueNumber === textValue) {
      this.#need(this.#textAt + 4)
      const textBytes = this.#window.readUInt32LE(this.#at + this.#textAt)
      if (textBytes > longestRecordBytes) this.#file.damaged('a record is too long')
      this.#lengthBytes = this.#textAt + 4 + textBytes
    }
    this.#need(this.#lengthBytes)
    return true
  }

  /** Makes sure that the window has so many bytes of the current record. */
  #need(count: number): void {
    if (this.#at + count <= this.#window.length) return
    const at = this.#windowAt + this.#at
    if (at + count > this.#file.end) this.#file.damaged('a record leads out of its section')
    this.#window = this.#file.read(at, Math.min(Math.max(count, windowBytes), this.#file.end - at))
    this.#windowAt = at
    this.#at = 0
  }

  get valueNumber(): number {
    return this.#window.readUInt32LE(this.#at + 4)
  }

  get kind(): RecordKind {
    const word = this.#window.readUInt16LE(this.#at + 10)
    return recordKinds[word >>> 14] ?? this.#file.damaged('a record has no head')
  }

  get key(): string {
    return this.#window.toString('utf8', this.#at + recordHeadBytes, this.#at + this.#textAt)
  }

  /** True where one of the names may be in its key or its text. */
  mayHave(names: ByteSearch): boolean {
    const start = this.#at + recordHeadBytes
    const textStart = this.#at + this.#textAt + 4
    return (
      names.mayFind(this.#window, start, this.#at + this.#textAt) ||
      names.mayFind(this.#window, textStart, this.#at + this.#lengthBytes)
    )
  }

  get record(): StoredRecord {
    const head = decodeHead(this.#window.subarray(this.#at, this.#at + recordHeadBytes))
    if (head === undefined) return this.#file.damaged('a record has no head')
    const isText = head.valueNumber === textValue
    const from = this.#at + this.#textAt + 4
    const text = isText
      ? this.#window.toString('utf8', from, this.#at + this.#lengthBytes)
      : undefined
    return { ...head, key: this.key, text }
  }

  /** True where both are of one kind and key. */
  hasKeyOf(other: RecordCursor): boolean {
    return (
      this.#textAt === other.#textAt &&
      this.kind === other.kind &&
      this.#isSame(other, recordHeadBytes, this.#textAt)
    )
  }

  /** True where both hold the same text, or none. */
  hasTextOf(other: RecordCursor): boolean {
    return (
      this.#lengthBytes - this.#textAt === other.#lengthBytes - other.#textAt &&
      this.#isSame(other, this.#textAt, this.#lengthBytes)
    )
  }

  #isSame(other: RecordCursor, start: number, end: number): boolean {
    const one = this.#window
    const two = other.#window
    for (let at = start; at < end; at++) {
      if (one[this.#at + at] !== two[other.#at + at]) return false
    }
    return true
  }
}
