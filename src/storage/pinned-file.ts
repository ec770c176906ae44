/**
 * Holds a file as it is now: whoever opens `path` later, from another process of this user too,
 * reads the same file, also when its name has been given to a newer one or is gone.
 */
import { open, stat } from 'node:fs/promises'

export interface PinnedFile {
  /** A name for the file held; its own name where the system has no /proc. */
  readonly path: string
  release(): Promise<void>
}

/** Throws what opening throws. */
export async function pinFile(path: string): Promise<PinnedFile> {
  const handle = await open(path, 'r')
  const held = `/proc/${process.pid}/fd/${handle.fd}`
  const hasProc = await stat(held).then(
    () => true,
    () => false,
  )
  return { path: hasProc ? held : path, release: () => handle.close() }
}
