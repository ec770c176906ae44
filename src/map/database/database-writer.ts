/**
 * Writes a database into a file: records as they come, then what is made of them. One use: after
 * `finish` the file is complete and the database can be asked, before it is published.
 */
import { crc32 } from 'node:zlib'
import type { DiskFile } from '../../storage/disk.ts'
import type { Value } from '../value.ts'
import { ColdWriter, sumBlocks } from './cold-writer.ts'
import { Database } from './database.ts'
import type { Duplicate } from './sort-bucket.ts'
import { EarlySync } from './early-sync.ts'
import { EntryBuckets, type SharedEntries } from './entry-buckets.ts'
import {
  encodeHeader,
  encodeTrailer,
  flagAliases,
  flagBareKeys,
  flagWideKeys,
  type Header,
  headerBytes,
  recordUnitBytes,
  type Section,
  sealHeader,
  trailerBytes,
} from './format.ts'
import { type BuiltIndex, buildIndex, type SortBuckets } from './index-builder.ts'
import type { Seed } from './key-hash.ts'
import type { Meta } from './meta.ts'
import { type PlainKey, RecordBlock, settleBlock } from './record-block.ts'
import type { Origin } from './record.ts'
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

/** What other threads have taken over of the work. */
export interface Helpers {
  /** Ends their adding. */
  shareEntries(): Promise<readonly SharedEntries[]>
  readonly sortBuckets: SortBuckets
}

/** Records that are settled, and may be written from where they are. */
export interface SettledRecords {
  readonly bytes: Uint8Array
  /** Of the whole blocks in them. */
  readonly sums: Uint32Array
}

/** What a block has told of its records. */
type Counts = Pick<RecordBlock, 'users' | 'hasBareKeys' | 'hasWideKeys'>

/** Then the records of a block are written. */
const blockLimitBytes = 1 << 20

export class DatabaseWriter {
  readonly values = new ValueTable()
  aliases = 0
  #users = 0
  #hasBareKeys = false
  #hasWideKeys = false
  readonly #file: EarlySync
  readonly #seed: Seed
  readonly #cold: ColdWriter
  readonly #block: RecordBlock
  readonly #entries = new EntryBuckets()
  #reservedBytes = 0

  constructor(file: DiskFile, seed: Seed) {
    this.#file = new EarlySync(file)
    this.#seed = seed
    this.#cold = new ColdWriter(this.#file)
    this.#block = new RecordBlock(seed, this.values)
    // Reference 0 means none.
    this.#cold.append(new Uint8Array(recordUnitBytes))
  }

  get users(): number {
    return this.#users + this.#block.users
  }

  /** Waits until the disk has taken most of what was added. Throws what it reports. */
  settle(): Promise<void> {
    return this.#cold.settle()
  }

  addUser(origin: Origin, key: string, value: Value): void {
    this.#block.addUser(origin, key, value)
    if (this.#block.lengthBytes > blockLimitBytes) this.#writeBlock()
  }

  addAlias(origin: Origin, key: string, targets: readonly string[]): void {
    this.#block.addAlias(origin, key, targets)
    this.aliases++
    if (this.#block.lengthBytes > blockLimitBytes) this.#writeBlock()
  }

  /** As RecordBlock's. */
  addPlainUser(origin: Origin, key: PlainKey, valueNumber: number): void {
    this.#block.addPlainUser(origin, key, valueNumber)
    if (this.#block.lengthBytes > blockLimitBytes) this.#writeBlock()
  }

  #writeBlock(): void {
    const block = this.#block
    if (this.#reservedBytes > 0) throw new TypeError('a place that was reserved is not filled')
    const reference = this.#cold.lengthBytes / recordUnitBytes
    const place = { line: 0, reference, numbers: undefined }
    settleBlock(block, place, this.#entries)
    this.#cold.append(block.bytes.subarray(0, block.lengthBytes))
    this.#count(block)
    block.clear()
  }

  #count({ users, hasBareKeys, hasWideKeys }: Counts): void {
    this.#users += users
    this.#hasBareKeys ||= hasBareKeys
    this.#hasWideKeys ||= hasWideKeys
  }

  /**
   * Keeps a place for the records of a block that was made elsewhere, after all that was added;
   * returns the reference of the first. `appendSettled` fills the places in their order, and nothing
   * else is added until all are filled.
   */
  reserve(lengthBytes: number, counts: Counts): number {
    if (this.#block.count > 0) this.#writeBlock()
    const reference = (this.#cold.lengthBytes + this.#reservedBytes) / recordUnitBytes
    this.#reservedBytes += lengthBytes
    this.#count(counts)
    return reference
  }

  /** Returns once the bytes may change. */
  async appendSettled({ bytes, sums }: SettledRecords): Promise<void> {
    this.#reservedBytes -= bytes.byteLength
    await this.#cold.appendLasting(bytes, sums)
  }

  /** Undefined where two keys share a hash: the file must be written anew with another seed. */
  async finish(finish: Finish, helpers?: Helpers): Promise<Finished | undefined> {
    if (this.#block.count > 0) this.#writeBlock()
    const recordBytes = this.#cold.lengthBytes
    const others = (await helpers?.shareEntries()) ?? []
    const built = await buildIndex([this.#entries.share(), ...others], helpers?.sortBuckets)
    if (built === undefined) return undefined
    await this.#cold.appendLasting(toBytes(built.joints))
    await this.#cold.appendLasting(toBytes(built.places))
    const sums = await this.#cold.finish()
    const meta: Meta = { ...finish.meta, values: this.values.values, pairs: built.pairs }
    const records = { offset: headerBytes, length: recordBytes, crc: 0 }
    const joints = after(records, built.joints.byteLength, 0)
    const places = after(joints, built.places.byteLength, 0)
    const file = this.#file
    const index = await writeSection(file, places, toBytes(built.slots))
    const metaSection = await writeSection(file, index, Buffer.from(JSON.stringify(meta)))
    const sumsSection = await writeSection(file, metaSection, toBytes(sums))
    const indexSums = await writeSection(
      file,
      sumsSection,
      toBytes(sumBlocks(toBytes(built.slots))),
    )
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
    await file.sync()
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
        (this.#hasBareKeys ? flagBareKeys : 0) |
        (this.aliases > 0 ? flagAliases : 0) |
        (this.#hasWideKeys ? flagWideKeys : 0),
    }
  }
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
