/** Opens a database file: everything that lookups rely on is read once and checked. */
import { endianness } from 'node:os'
import { crc32 } from 'node:zlib'
import { MailmuxError, messageOf } from '../../base/error.ts'
import { CheckedBlocks } from './checked-blocks.ts'
import { DiskIndex, ResidentIndex, type SlotIndex } from './slots.ts'
import { adviseHugePages } from '../../storage/huge-pages.ts'
import { openRandomAccess, type RandomAccess } from '../../storage/random-access.ts'
import { Database } from './database.ts'
import {
  decodeHeader,
  encodeTrailer,
  type Header,
  headerBytes,
  type SectionName,
  sectionNames,
  slotWords,
  trailerBytes,
} from './format.ts'
import type { Meta } from './meta.ts'

export interface OpenDatabase {
  readonly database: Database
  close(): void
}

/**
 * Throws MAP_DATABASE_MISSING, MAP_DATABASE_UNREADABLE where this process may not read it, or
 * MAP_DATABASE_DAMAGED with what is wrong.
 */
export function openDatabase(
  path: string,
  index: 'resident' | 'on disk' = 'resident',
): OpenDatabase {
  const file = openFile(path)
  try {
    return { database: readDatabase(path, file, index), close: () => file.close() }
  } catch (error) {
    file.close()
    throw damaged(path, error)
  }
}

/** Only the header, for the number of the generation. Throws as `openDatabase` does. */
export function readHeader(path: string): Header {
  const file = openFile(path)
  try {
    return headerOf(path, file)
  } catch (error) {
    throw damaged(path, error)
  } finally {
    file.close()
  }
}

function openFile(path: string): RandomAccess {
  try {
    return openRandomAccess(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') {
      throw new MailmuxError('MAP_DATABASE_MISSING', `${path}: there is no map database`)
    }
    throw ofThisProcess.has(code) ? unreadable(path, error) : damaged(path, error)
  }
}

/** What says nothing of the file: a map that others read must not be taken for damaged. */
const ofThisProcess = new Set<unknown>(['EACCES', 'EPERM', 'EMFILE', 'ENFILE'])

/** The error of a database that this process may not read, or cannot just now. */
export function unreadable(path: string, cause: unknown): MailmuxError {
  const what = `${path}: cannot be read: ${messageOf(cause)}`
  return new MailmuxError('MAP_DATABASE_UNREADABLE', what, { cause })
}

function damaged(path: string, error: unknown): MailmuxError {
  if (error instanceof MailmuxError) return error
  return new MailmuxError('MAP_DATABASE_DAMAGED', `${path}: ${messageOf(error)}`, { cause: error })
}

function refuse(path: string, what: string): never {
  throw new MailmuxError('MAP_DATABASE_DAMAGED', `${path}: ${what}`)
}

function headerOf(path: string, file: RandomAccess): Header {
  const bytes = Buffer.alloc(headerBytes)
  const got = file.readInto(bytes, 0)
  const header = decodeHeader(bytes.subarray(0, got), (data) => crc32(data))
  return typeof header === 'string' ? refuse(path, header) : header
}

function readDatabase(path: string, file: RandomAccess, where: 'resident' | 'on disk'): Database {
  if (endianness() !== 'LE') refuse(path, 'this machine stores numbers the other way round')
  const header = headerOf(path, file)
  if (file.sizeBytes !== header.fileBytes) {
    const state = file.sizeBytes < header.fileBytes ? 'it is truncated' : 'something was added'
    refuse(path, `${file.sizeBytes} bytes, but ${header.fileBytes} were written: ${state}`)
  }
  checkLayout(path, header)
  const trailer = readSection(path, file, header.fileBytes - trailerBytes, trailerBytes)
  if (!Buffer.from(trailer).equals(encodeTrailer(header.fileBytes))) {
    refuse(path, 'its trailer is wrong')
  }
  const read = (name: SectionName): Uint8Array => {
    const { offset, length, crc } = header.sections[name]
    const bytes = readSection(path, file, offset, length)
    if (crc32(bytes) !== crc) refuse(path, `the checksum of its ${name} is wrong`)
    return bytes
  }
  const resident = (): SlotIndex => {
    const slots = toWords(read('index'))
    if (slots.at(-1) !== 0) refuse(path, 'its index has no end')
    return new ResidentIndex(slots, header.capacity)
  }
  const onDisk = (): SlotIndex => {
    const { offset, length } = header.sections.index
    const blocks = new CheckedBlocks(file, { offset, length, sums: toWords(read('indexSums')) })
    const readIndex = (at: number, count: number): Buffer =>
      blocks.read(at, count) ?? refuse(path, `the checksum of its index at byte ${at} is wrong`)
    return new DiskIndex(readIndex, length, header.capacity)
  }
  return new Database({
    path,
    header,
    index: where === 'resident' ? resident() : onDisk(),
    meta: JSON.parse(Buffer.from(read('meta')).toString()) as Meta,
    sums: toWords(read('sums')),
    read(position, lengthBytes) {
      const bytes = Buffer.allocUnsafe(lengthBytes)
      return bytes.subarray(0, file.readInto(bytes, position))
    },
  })
}

/** Sections follow each other, and the index is as long as its slots. */
function checkLayout(path: string, header: Header): void {
  let at = headerBytes
  for (const name of sectionNames) {
    const { offset, length } = header.sections[name]
    if (offset < at || offset - at >= 8 || offset + length > header.fileBytes - trailerBytes) {
      refuse(path, `its section ${name} is out of place`)
    }
    at = offset + length
  }
  const slots = header.sections.index.length / (slotWords * 4)
  if (!Number.isInteger(slots) || slots <= header.capacity) {
    refuse(path, 'its index has not the length that its header says')
  }
}

function readSection(path: string, file: RandomAccess, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  adviseHugePages(bytes)
  if (file.readInto(bytes, offset) !== length) refuse(path, 'it is truncated')
  return bytes
}

function toWords(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4)
}
