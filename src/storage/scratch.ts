/** A temporary file without a name: it is gone when it is closed, also by a crash. */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface Scratch {
  write(bytes: Uint8Array, position: number): void
  /** Shorter at the end of what was written. */
  read(position: number, lengthBytes: number): Buffer
  close(): void
}

export function openScratch(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'mailmux-'))
  const descriptor = openSync(join(folder, 'scratch'), 'wx+', 0o600)
  rmSync(folder, { recursive: true })
  return {
    write(bytes, position) {
      for (let done = 0; done < bytes.byteLength; ) {
        done += writeSync(descriptor, bytes, done, bytes.byteLength - done, position + done)
      }
    },
    read(position, lengthBytes) {
      const bytes = Buffer.allocUnsafe(lengthBytes)
      return bytes.subarray(0, readSync(descriptor, bytes, 0, lengthBytes, position))
    },
    close: () => closeSync(descriptor),
  }
}
