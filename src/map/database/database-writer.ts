/**
 * Writes a database into a file: records as they come, then what is made of them. One use: after
 * `finish` the file is complete and the database can be asked, before it is published.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '../../storage/disk.ts'
import { isBare, isWide } from '../key.ts'
import type { Value } from '../value.ts'
import { ColdWriter } from './cold-writer.ts'
import { Database } from './database.ts'
import { EntryBuckets } from './entry-buckets.ts'
import {
  blockBytes,
  encodeHeader,
  encodeTrailer,
  flagAliases,
  flagBareKeys,
  flagWideKeys,
  type Header,
  headerBytes,
  jointBit,
  recordHeadBytes,
  recordUnitBytes,
  type Section,
  sealHeader,
  textValue,
  trailerBytes,
} from './format.ts'
import { type BuiltIndex, buildIndex, type Duplicate, entryValue } from './index-builder.ts'
import { KeyHash, type Seed } from './key-hash.ts'
import type { Meta } from './meta.ts'
import { encodeHead, encodeRecord, type Origin, paddedLength } from './record.ts'
import { ResidentIndex } from './slots.ts'
import { ValueTable } from './value-table.ts'

export interface Finish {
  readonly generation: number
  readonly sourceDigest: Buffer
  readonly meta: Omit<Meta, 'values' | 'pairs'>
  readonly path: string
}

export interface Finished {
  readonly database: Database
  readonly duplicates: readonly Duplicate[]
  readonly fileBytes: number
}

/** Room for the longest key and what stands around it. */
const longestHeadBytes = 4096
/** What a key without a domain ends in. */
const bareMark = 0x40

export class DatabaseWriter {
  readonly values = new ValueTable()
  users = 0
  aliases = 0
  hasBareKeys = false
  hasWideKeys = false
  readonly #file: DiskFile
  readonly #seed: Seed
  readonly #cold: ColdWriter
  readonly #hash: KeyHash
  readonly #entries = new EntryBuckets()

  constructor(file: DiskFile, seed: Seed) {
    this.#file = file
    this.#seed = seed
    this.#cold = new ColdWriter(file)
    this.#hash = new KeyHash(seed)
    // Reference 0 means none.
    this.#cold.append(new Uint8Array(recordUnitBytes))
  }

  /** Waits until the disk has taken most of what was added. Throws what it reports. */
  settle(): Promise<void> {
    return this.#cold.settle()
  }

  addUser(origin: Origin, key: string, value: Value): void {
    const number = this.values.numberOf(value)
    const text = number === 0 ? JSON.stringify(value) : undefined
    this.#add(origin, key, number, text)
    if (origin.kind === 'user_map') this.users++
  }

  addAlias(origin: Origin, key: string, targets: readonly string[]): void {
    this.#add(origin, key, 0, JSON.stringify(targets))
    this.aliases++
  }

  #add(origin: Origin, key: string, number: number, text: string | undefined): void {
    if (isBare(key)) this.hasBareKeys = true
    if (isWide(key)) this.hasWideKeys = true
    const valueNumber = number === 0 ? textValue : number
    const record = encodeRecord(origin, key, valueNumber, text)
    const reference = this.#nextReference()
    this.#cold.append(record)
    this.#hash.hashText(key)
    const { high, low, check } = this.#hash
    this.#entries.add(high, low, check, entryValue(origin.kind, number), reference)
  }

  #nextReference(): number {
    const reference = this.#cold.lengthBytes / recordUnitBytes
    if (reference >= jointBit) throw new RangeError('the sources are too big for one database')
    return reference
  }

  /**
   * Adds a user whose key is `keyBytes` bytes at `at` of `bytes`, ASCII and canonical but for the
   * case of its letters where `fold` says so. The fast way for millions of lines.
   */
  addPlainUser(origin: Origin, key: PlainKey, valueNumber: number): void {
    const cold = this.#cold
    cold.reserve(longestHeadBytes)
    const reference = this.#nextReference()
    const { buffer } = cold
    const start = cold.at + recordHeadBytes
    const { bytes, fold } = key
    let length = key.end - key.start
    for (let index = 0; index < length; index++) {
      buffer[start + index] = fold[bytes[key.start + index] as number] as number
    }
    if (key.isBare) {
      buffer[start + length++] = bareMark
      this.hasBareKeys = true
    }
    encodeHead(buffer, cold.at, origin, valueNumber, length)
    this.#hash.hashBytes(buffer, start, start + length)
    const end = cold.at + paddedLength(recordHeadBytes + length)
    for (let at = start + length; at < end; at++) buffer[at] = 0
    cold.at = end
    const { high, low, check } = this.#hash
    this.#entries.add(high, low, check, entryValue(origin.kind, valueNumber), reference)
    if (origin.kind === 'user_map') this.users++
  }

  /** Undefined where two keys share a hash: the file must be written anew with another seed. */
  async finish(finish: Finish): Promise<Finished | undefined> {
    const recordBytes = this.#cold.lengthBytes
    const built = buildIndex(this.#entries)
    if (built === undefined) return undefined
    this.#cold.append(toBytes(built.joints))
    this.#cold.append(toBytes(built.places))
    const sums = await this.#cold.finish()
    const meta: Meta = { ...finish.meta, values: this.values.values, pairs: built.pairs }
    const records = { offset: headerBytes, length: recordBytes, crc: 0 }
    const joints = after(records, built.joints.byteLength, 0)
    const places = after(joints, built.places.byteLength, 0)
    const file = this.#file
    const index = await writeSection(file, places, toBytes(built.slots))
    const metaSection = await writeSection(file, index, Buffer.from(JSON.stringify(meta)))
    const sumsSection = await writeSection(file, metaSection, toBytes(sums))
    const indexSums = await writeSection(file, sumsSection, toBytes(sumBlocks(built.slots)))
    const fileBytes = indexSums.offset + indexSums.length + trailerBytes
    const header: Header = {
      ...this.#headerOf(finish, built),
      fileBytes,
      sections: { records, joints, places, index, meta: metaSection, sums: sumsSection, indexSums },
    }
    await file.write(encodeTrailer(fileBytes), fileBytes - trailerBytes)
    await file.write(
      sealHeader(encodeHeader(header), (data) => crc32(data)),
      0,
    )
    const read = (position: number, length: number): Buffer => file.readBack(position, length)
    const database = new Database({
      path: finish.path,
      header,
      index: new ResidentIndex(built.slots, built.capacity),
      meta,
      sums,
      read,
    })
    return { database, duplicates: built.duplicates, fileBytes }
  }

  #headerOf(finish: Finish, built: BuiltIndex): Omit<Header, 'fileBytes' | 'sections'> {
    return {
      generation: finish.generation,
      sourceDigest: finish.sourceDigest,
      seed: this.#seed,
      capacity: built.capacity,
      keys: built.keys,
      users: this.users,
      aliases: this.aliases,
      flags:
        (this.hasBareKeys ? flagBareKeys : 0) |
        (this.aliases > 0 ? flagAliases : 0) |
        (this.hasWideKeys ? flagWideKeys : 0),
    }
  }
}

export interface PlainKey {
  readonly bytes: Uint8Array
  start: number
  end: number
  /** A name for every domain of ours. */
  isBare: boolean
  /** Lower case of every byte, or the byte itself. */
  readonly fold: Uint8Array
}

function sumBlocks(slots: Uint32Array): Uint32Array {
  const bytes = toBytes(slots)
  return Uint32Array.from({ length: Math.ceil(bytes.length / blockBytes) }, (_, block) =>
    crc32(bytes.subarray(block * blockBytes, (block + 1) * blockBytes)),
  )
}

function toBytes(words: Uint32Array): Buffer {
  return Buffer.from(words.buffer, words.byteOffset, words.byteLength)
}

/** The section after another, at the next multiple of eight bytes. */
function after(section: Section, length: number, crc: number): Section {
  const end = section.offset + section.length
  return { offset: Math.ceil(end / 8) * 8, length, crc }
}

async function writeSection(file: DiskFile, previous: Section, bytes: Buffer): Promise<Section> {
  const section = after(previous, bytes.length, crc32(bytes))
  const end = previous.offset + previous.length
  await file.write(Buffer.alloc(section.offset - end), end)
  const partBytes = 1 << 24
  for (let done = 0; done < bytes.length; done += partBytes) {
    await file.write(bytes.subarray(done, done + partBytes), section.offset + done)
  }
  return section
}
