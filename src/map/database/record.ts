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

/** How many source files a map can have: the number shares a word with the kind. */
export const sourceLimit = 1 << 14

export function encodeRecord(
  head: Omit<RecordHead, 'keyBytes'>,
  key: string,
  text: string | undefined,
): Buffer {
  const keyBytes = Buffer.byteLength(key)
  const textBytes = text === undefined ? 0 : 4 + Buffer.byteLength(text)
  const bytes = Buffer.alloc(paddedLength(recordHeadBytes + keyBytes + textBytes))
  encodeHead(bytes, 0, { ...head, keyBytes })
  bytes.write(key, recordHeadBytes)
  if (text !== undefined) {
    bytes.writeUInt32LE(textBytes - 4, recordHeadBytes + keyBytes)
    bytes.write(text, recordHeadBytes + keyBytes + 4)
  }
  return bytes
}

export function encodeHead(bytes: Buffer, at: number, head: RecordHead): void {
  bytes.writeUInt32LE(head.line, at)
  bytes.writeUInt32LE(head.valueNumber, at + 4)
  bytes.writeUInt16LE(head.keyBytes, at + 8)
  bytes.writeUInt16LE(head.source | (recordKinds.indexOf(head.kind) << 14), at + 10)
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
