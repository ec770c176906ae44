/**
 * The layout of the database file; nothing else knows it. Numbers are little-endian.
 *
 * header   4,096 bytes: magic, format version, generation, SHA-256 of all that was compiled, seed,
 *          counts, a table of the sections (offset, length, CRC-32), CRC-32 of the header itself
 * records  one for each line of user_map, popmap and aliases, in the order of the sources: where it
 *          stands, its key, its value
 * joints   three record references (alias, delivery, retrieval) for each key with several records
 * places   for each slot of the index the reference of its record or joint
 * index    slots of 12 bytes ordered by hash: high lane, low lane, value. 0: free
 * meta     JSON: values, pairs of values, back-ends, rules, sources
 * sums     CRC-32 of every 4 KiB of records, joints and places, which stay on disk
 * indexSums  CRC-32 of every 4 KiB of the index, for who reads a few of its blocks only
 * trailer  16 bytes: length of the file, magic
 *
 * A value below 2^31 is the number (from 1) of a pair of values; above, the rest is a reference: bit
 * 30 set is a joint by number, else a record by its offset in units of 8 bytes.
 */

export const formatVersion = 2
export const headerBytes = 4096
export const trailerBytes = 16
export const blockBytes = 4096
export const slotWords = 3
export const recordUnitBytes = 8
export const recordHeadBytes = 12

/** CR LF and ctrl-Z show a file that was carried over as text. */
export const magic = Buffer.from('mailmux-map\r\n\x1a\n\0', 'latin1')
export const trailerMagic = Buffer.from('mailmux$', 'latin1')

export const referenceBit = 0x80000000
export const jointBit = 0x40000000
export const referenceMask = 0x7fffffff
/** In a record: the value is text that follows the key. */
export const textValue = 0xffffffff

export const recordKinds = ['aliases', 'user_map', 'popmap'] as const
export type RecordKind = (typeof recordKinds)[number]

export const sectionNames = [
  'records',
  'joints',
  'places',
  'index',
  'meta',
  'sums',
  'indexSums',
] as const
export type SectionName = (typeof sectionNames)[number]

export interface Section {
  readonly offset: number
  readonly length: number
  /** CRC-32 of the whole; 0 for those whose blocks have their own. */
  readonly crc: number
}

export interface Header {
  readonly generation: number
  /** SHA-256 of the sources and of what else decides, 32 bytes. */
  readonly sourceDigest: Buffer
  readonly seed: readonly [number, number]
  /** Slots that a hash can point to; the index has some more at its end. */
  readonly capacity: number
  /** Keys in the index. */
  readonly keys: number
  readonly users: number
  readonly aliases: number
  readonly flags: number
  readonly fileBytes: number
  readonly sections: Readonly<Record<SectionName, Section>>
}

export const flagBareKeys = 1
export const flagAliases = 2
export const flagWideKeys = 4

const sectionTableAt = 128
const sectionEntryBytes = 24
const headerSumAt = headerBytes - 4

/** The header's bytes, without its checksum: `sealHeader` sets that. */
export function encodeHeader(header: Header): Buffer {
  const bytes = Buffer.alloc(headerBytes)
  magic.copy(bytes)
  bytes.writeUInt32LE(formatVersion, 16)
  bytes.writeUInt32LE(header.flags, 20)
  bytes.writeBigUInt64LE(BigInt(header.generation), 24)
  header.sourceDigest.copy(bytes, 32)
  bytes.writeUInt32LE(header.seed[0], 64)
  bytes.writeUInt32LE(header.seed[1], 68)
  bytes.writeUInt32LE(header.capacity, 72)
  bytes.writeUInt32LE(header.keys, 76)
  bytes.writeUInt32LE(header.users, 80)
  bytes.writeUInt32LE(header.aliases, 84)
  bytes.writeBigUInt64LE(BigInt(header.fileBytes), 88)
  for (const [number, name] of sectionNames.entries()) {
    const at = sectionTableAt + number * sectionEntryBytes
    const { offset, length, crc } = header.sections[name]
    bytes.writeBigUInt64LE(BigInt(offset), at)
    bytes.writeBigUInt64LE(BigInt(length), at + 8)
    bytes.writeUInt32LE(crc, at + 16)
  }
  return bytes
}

/** Writes the checksum that `crc32` makes of all but itself. */
export function sealHeader(bytes: Buffer, crc32: (data: Buffer) => number): Buffer {
  bytes.writeUInt32LE(crc32(bytes.subarray(0, headerSumAt)), headerSumAt)
  return bytes
}

/** The header, or what is wrong with it in a few words. */
export function decodeHeader(bytes: Buffer, crc32: (data: Buffer) => number): Header | string {
  if (bytes.length < headerBytes) return 'too short for a header: it is truncated'
  if (!bytes.subarray(0, magic.length).equals(magic)) {
    return 'no map database of mailmux: the magic number is missing'
  }
  const version = bytes.readUInt32LE(16)
  if (version !== formatVersion) {
    return `format version ${version}; this mailmux reads version ${formatVersion}`
  }
  if (bytes.readUInt32LE(headerSumAt) !== crc32(bytes.subarray(0, headerSumAt))) {
    return 'the checksum of its header is wrong'
  }
  const sections = Object.fromEntries(
    sectionNames.map((name, number) => {
      const at = sectionTableAt + number * sectionEntryBytes
      const section: Section = {
        offset: Number(bytes.readBigUInt64LE(at)),
        length: Number(bytes.readBigUInt64LE(at + 8)),
        crc: bytes.readUInt32LE(at + 16),
      }
      return [name, section]
    }),
  ) as unknown as Record<SectionName, Section>
  return {
    flags: bytes.readUInt32LE(20),
    generation: Number(bytes.readBigUInt64LE(24)),
    sourceDigest: Buffer.from(bytes.subarray(32, 64)),
    seed: [bytes.readUInt32LE(64), bytes.readUInt32LE(68)],
    capacity: bytes.readUInt32LE(72),
    keys: bytes.readUInt32LE(76),
    users: bytes.readUInt32LE(80),
    aliases: bytes.readUInt32LE(84),
    fileBytes: Number(bytes.readBigUInt64LE(88)),
    sections,
  }
}

export function encodeTrailer(fileBytes: number): Buffer {
  const bytes = Buffer.alloc(trailerBytes)
  bytes.writeBigUInt64LE(BigInt(fileBytes), 0)
  trailerMagic.copy(bytes, 8)
  return bytes
}

/** A number that all bits of the high lane choose, below `capacity`; it grows with the lane. */
export function homeSlot(high: number, capacity: number): number {
  return Math.floor((high / 0x1_0000_0000) * capacity)
}
