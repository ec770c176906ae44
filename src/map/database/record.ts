/** One record of the database: where a line stands, its key, and its value where that is its own. */
import { type RecordKind, recordHeadBytes, recordKinds, recordUnitBytes } from './format.ts'

export interface RecordHead {
  readonly line: number
  /** Number of the value from 1; `textValue`: `text` holds it. */
  readonly valueNumber: number
  readonly keyBytes: number
  readonly source: number
  readonly kind: RecordKind
}

export interface StoredRecord extends RecordHead {
  readonly key: string
  readonly text: string | undefined
}

/** How many source files a map can have: the number shares a word with the kind. */
export const sourceLimit = 1 << 14

/** Where a record comes from. */
export interface Origin {
  readonly kind: RecordKind
  /** Number of the source file. */
  readonly source: number
  readonly line: number
}

export function encodeRecord(
  origin: Origin,
  key: string,
  valueNumber: number,
  text: string | undefined,
): Buffer {
  const keyBytes = Buffer.byteLength(key)
  const textBytes = text === undefined ? 0 : 4 + Buffer.byteLength(text)
  const length = recordHeadBytes + keyBytes + textBytes
  // From the pool: this runs once for each user that has another name.
  const bytes = Buffer.allocUnsafe(paddedLength(length)).fill(0, length)
  encodeHead(bytes, 0, origin, valueNumber, keyBytes)
  bytes.write(key, recordHeadBytes)
  if (text !== undefined) {
    bytes.writeUInt32LE(textBytes - 4, recordHeadBytes + keyBytes)
    bytes.write(text, recordHeadBytes + keyBytes + 4)
  }
  return bytes
}

// Plain stores and no object: this runs once for each of millions of users.
// oxlint-disable-next-line max-params
export function encodeHead(
  bytes: Uint8Array,
  at: number,
  { line, source, kind }: Origin,
  valueNumber: number,
  keyBytes: number,
): void {
  const word = source | (recordKinds.indexOf(kind) << 14)
  bytes[at] = line
  bytes[at + 1] = line >>> 8
  bytes[at + 2] = line >>> 16
  bytes[at + 3] = line >>> 24
  bytes[at + 4] = valueNumber
  bytes[at + 5] = valueNumber >>> 8
  bytes[at + 6] = valueNumber >>> 16
  bytes[at + 7] = valueNumber >>> 24
  bytes[at + 8] = keyBytes
  bytes[at + 9] = keyBytes >>> 8
  bytes[at + 10] = word
  bytes[at + 11] = word >>> 8
}

/** Undefined where the bytes are no record's head. */
export function decodeHead(bytes: Buffer): RecordHead | undefined {
  if (bytes.length < recordHeadBytes) return undefined
  const word = bytes.readUInt16LE(10)
  const kind = recordKinds[word >>> 14]
  if (kind === undefined) return undefined
  return {
    line: bytes.readUInt32LE(0),
    valueNumber: bytes.readUInt32LE(4),
    keyBytes: bytes.readUInt16LE(8),
    source: word & (sourceLimit - 1),
    kind,
  }
}

export function paddedLength(count: number): number {
  return Math.ceil(count / recordUnitBytes) * recordUnitBytes
}
