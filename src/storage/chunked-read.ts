/** Reads of files that people write: in big pieces, and a directory as its files in name order. */
import { constants, createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'

/** Every chunk has this much unused room before it, for what the reader keeps of the last one. */
export interface Chunk {
  readonly buffer: Buffer
  readonly start: number
  readonly end: number
}

/** Gives the memory for a chunk: room, then the chunk, then a byte. */
export type LeaseBuffer = () => Buffer | Promise<Buffer>

/**
 * The file piece by piece; the next piece is read while the caller works on this one, whose buffer
 * is used again after the one after it, or when `lease` gives it again. Throws what the system
 * reports, and for a named pipe.
 */
export async function* readChunks(
  path: string,
  chunkBytes: number,
  roomBytes: number,
  lease: LeaseBuffer = twoBuffers(roomBytes + chunkBytes + 1),
): AsyncGenerator<Chunk, void, undefined> {
  // The open of a named pipe would wait for a writer, for ever where there is none.
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  try {
    if ((await handle.stat()).isFIFO()) {
      throw Object.assign(new Error('it is a named pipe, not a file'), { syscall: 'open' })
    }
    const read = async (): Promise<Chunk> => {
      const buffer = await lease()
      const { bytesRead } = await handle.read(buffer, roomBytes, chunkBytes)
      return { buffer, start: roomBytes, end: roomBytes + bytesRead }
    }
    let reading = read()
    for (;;) {
      const chunk = await reading
      if (chunk.end === chunk.start) return
      reading = read()
      // A failure is met at the top of the loop; until then it must not count as unhandled.
      reading.catch(() => undefined)
      yield chunk
    }
  } finally {
    await handle.close()
  }
}

function twoBuffers(lengthBytes: number): LeaseBuffer {
  let [next, other] = [0, 0].map(() => Buffer.allocUnsafeSlow(lengthBytes)) as [Buffer, Buffer]
  return () => {
    const leased = next
    next = other
    other = leased
    return leased
  }
}

/** Bytes of a regular file; 0 where it is none, or cannot be asked. */
export async function sizeOf(path: string): Promise<number> {
  const state = await stat(path).catch(() => undefined)
  return state?.isFile() === true ? state.size : 0
}

/**
 * The whole of a file, pipes included; undefined where it has more than `limitBytes`, as a device
 * that has no end. Throws what the system reports.
 */
export async function readWhole(path: string, limitBytes: number): Promise<Buffer | undefined> {
  const pieces: Buffer[] = []
  let total = 0
  for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
    pieces.push(piece as Buffer)
    total += (piece as Buffer).length
    if (total > limitBytes) return undefined
  }
  return Buffer.concat(pieces)
}

/** A file as itself; a directory as its files by name, without hidden ones and editors' copies. */
export async function listSourceFiles(path: string): Promise<string[]> {
  if (!(await stat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { withFileTypes: true })
  return entries
    .filter(({ name }) => !name.startsWith('.') && !name.endsWith('~') && !/^#.*#$/s.test(name))
    .filter((entry) => !entry.isDirectory())
    .map(({ name }) => join(path, name))
    .sort()
}

/** How many line feeds a file has. Throws what the system reports. */
export async function countLineEnds(path: string): Promise<number> {
  let count = 0
  for await (const { buffer, start, end } of readChunks(path, 1 << 20, 0)) {
    // Lines are short: a search that is called anew for each takes four times as long.
    for (let at = start; at < end; at++) if (buffer[at] === 0x0a) count++
  }
  return count
}
