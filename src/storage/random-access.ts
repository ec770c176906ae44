/**
 * A file open for reading at any place, at once. Reads block: they are for pages that the system
 * keeps in memory. Never mapped into memory, since a file that shrinks would kill the process.
 */
import { closeSync, constants, fstatSync, openSync, readSync, statSync } from 'node:fs'

export interface RandomAccess {
  readonly sizeBytes: number
  /** Fills `target` from `position` as far as the file goes; returns the bytes that were read. */
  readInto(target: Uint8Array, position: number): number
  close(): void
}

/** A single read of more fails on some systems. */
const readLimitBytes = 1 << 30

/** Throws what the system reports (ENOENT, EACCES…), and where the path is no regular file. */
export function openRandomAccess(path: string): RandomAccess {
  // A named pipe would block at open until somebody writes to it.
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  const state = fstatSync(descriptor)
  if (!state.isFile()) {
    closeSync(descriptor)
    throw new Error('not a regular file')
  }
  let isOpen = true
  return {
    sizeBytes: state.size,
    readInto(target, position) {
      // Its number may belong to another file by now.
      if (!isOpen) throw new Error('the file is closed')
      let done = 0
      while (done < target.byteLength) {
        const wanted = Math.min(target.byteLength - done, readLimitBytes)
        const got = readSync(descriptor, target, done, wanted, position + done)
        if (got === 0) break
        done += got
      }
      return done
    },
    close() {
      if (isOpen) closeSync(descriptor)
      isOpen = false
    },
  }
}

export interface ExactMark {
  readonly sizeBytes: number
  readonly text: string
}

/**
 * Changes with every change of a file, as exactly as the system's clock of files goes; undefined:
 * there is none.
 */
export function exactMarkOf(path: string): ExactMark | undefined {
  const state = statSync(path, { throwIfNoEntry: false, bigint: true })
  if (state === undefined) return undefined
  const { dev, ino, size, mtimeNs, ctimeNs } = state
  return { sizeBytes: Number(size), text: [dev, ino, size, mtimeNs, ctimeNs].join(':') }
}

/** Tells a file from one that has taken its name, or was written over; undefined: there is none. */
export function markOf(path: string): string | undefined {
  const state = statSync(path, { throwIfNoEntry: false })
  return state && `${state.dev}:${state.ino}:${state.size}:${state.mtimeMs}`
}
