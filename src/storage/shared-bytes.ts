/**
 * A piece of memory that several processes read and write: a file without a name, which stays in the
 * kernel's cache, and which children inherit open, so that it does not matter as whom they run.
 * Nothing in it is meant to last. Not mapped: a failing disk is an error, not a crash.
 */
import { randomBytes } from 'node:crypto'
import { readSync, writeSync } from 'node:fs'
import { open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

export interface SharedBytes {
  /** Fills `into` from `position`; what cannot be read is zero. */
  read(into: Uint8Array, position: number): void
  /** False where it could not be written. */
  write(bytes: Uint8Array, position: number): boolean
}

export interface OwnedBytes extends SharedBytes, Disposable {
  /** To be given to children. */
  readonly descriptor: number
}

/** Makes `sizeBytes` of zeros; pages that are never written take no room. Throws what opening throws. */
export async function createSharedBytes(directory: string, sizeBytes: number): Promise<OwnedBytes> {
  const path = join(directory, `tmp.${process.pid}.${randomBytes(12).toString('hex')}`)
  const handle = await open(path, 'wx+', 0o600)
  try {
    await unlink(path)
    await handle.truncate(sizeBytes)
  } catch (error) {
    await handle.close()
    throw error
  }
  const { fd: descriptor } = handle
  return {
    ...openSharedBytes(descriptor, () => undefined),
    descriptor,
    [Symbol.dispose]: () => void handle.close(),
  }
}

/** What another process has made. `onFault` is told what the system reports first, and once. */
export function openSharedBytes(
  descriptor: number,
  onFault: (error: unknown) => void,
): SharedBytes {
  let hasFailed = false
  const failed = (error: unknown): void => {
    if (!hasFailed) onFault(error)
    hasFailed = true
  }
  return {
    read(into, position) {
      let length = 0
      try {
        length = readSync(descriptor, into, 0, into.length, position)
      } catch (error) {
        failed(error)
      }
      into.fill(0, length)
    },
    write(bytes, position) {
      try {
        return writeSync(descriptor, bytes, 0, bytes.length, position) === bytes.length
      } catch (error) {
        failed(error)
        return false
      }
    },
  }
}

/** The same for one process alone. */
export function makeOwnBytes(sizeBytes: number): SharedBytes {
  const own = Buffer.alloc(sizeBytes)
  return {
    read(into, position) {
      into.set(own.subarray(position, position + into.length))
    },
    write(bytes, position) {
      own.set(bytes, position)
      return true
    },
  }
}
