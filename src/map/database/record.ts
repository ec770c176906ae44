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
  bytes.writeUInt32LE(origin.line, 0)
  bytes.writeUInt32LE(valueNumber, 4)
  bytes.writeUInt16LE(keyBytes, 8)
  bytes.writeUInt16LE(origin.source | (recordKinds.indexOf(origin.kind) << 14), 10)
  bytes.write(key, recordHeadBytes)
  if (text !== undefined) {
    bytes.writeUInt32LE(textBytes - 4, recordHeadBytes + keyBytes)
    bytes.write(text, recordHeadBytes + keyBytes + 4)
  }
  return bytes
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
