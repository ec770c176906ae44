/**
 * Finds what may differ between two maps whose records are in no common order, reading each from
 * its beginning to its end. For every key of the older one a sum is kept of hashes of what is said
 * of it: the older map adds, the newer takes away, and where nothing is left both say the same (but
 * for one chance in 2^50 a key).
 */
import type { Database } from './database/database.ts'
import { type RecordKind, recordKinds, textValue } from './database/format.ts'
import { KeyHash } from './database/key-hash.ts'
import type { RecordCursor } from './database/record-cursor.ts'

/** Keys that are not the same in both, and perhaps a few that are; the newer map's own keys first. */
export function* changedKeys(older: Database, newer: Database): Generator<string, void, undefined> {
  const sums = new Float64Array(older.slotCount)
  const olderHash = new RecordHash(older)
  for (const cursor = older.cursor(); cursor.next(); ) {
    const slot = older.slotOf(cursor.key)
    sums[slot] = (sums[slot] ?? 0) + olderHash.of(cursor)
  }
  const newerHash = new RecordHash(newer)
  for (const cursor = newer.cursor(); cursor.next(); ) {
    const { key } = cursor
    const slot = older.slotOf(key)
    if (slot === -1) yield key
    else sums[slot] = (sums[slot] ?? 0) - newerHash.of(cursor)
  }
  for (const cursor = older.cursor(); cursor.next(); ) {
    const { key } = cursor
    if (sums[older.slotOf(key)] !== 0) yield key
  }
}

/** A number below 2^50 for the kind and the value of a record, the same in every database. */
class RecordHash {
  readonly #database: Database
  readonly #hashes: Readonly<Record<RecordKind, KeyHash>>
  /** Of shared values, by kind and number. */
  readonly #known: Readonly<Record<RecordKind, number[]>>

  constructor(database: Database) {
    this.#database = database
    const [aliases, userMap, popmap] = recordKinds.map((_, number) => new KeyHash([number, 1]))
    this.#hashes = { aliases, user_map: userMap, popmap } as Record<RecordKind, KeyHash>
    this.#known = { aliases: [], user_map: [], popmap: [] }
  }

  of(cursor: RecordCursor): number {
    const { kind, valueNumber } = cursor
    if (valueNumber === textValue) return this.#hash(kind, cursor.record.text ?? '')
    const known = this.#known[kind][valueNumber]
    if (known !== undefined) return known
    const value = this.#database.meta.values[valueNumber - 1]
    return (this.#known[kind][valueNumber] = this.#hash(kind, JSON.stringify(value)))
  }

  #hash(kind: RecordKind, text: string): number {
    const hash = this.#hashes[kind]
    hash.hashText(text)
    return (hash.high & 0x3ffff) * 2 ** 32 + hash.low
  }
}
