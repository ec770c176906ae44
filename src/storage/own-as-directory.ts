import { closeSync, constants, fchownSync, fstatSync, openSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Where root makes a file in a directory of somebody else, such as that of the daemon's user, gives
 * it to them: they must be able to use it too. Does nothing for anybody else. Throws what the system
 * reports.
 */
export function ownAsDirectory(path: string): void {
  if (process.getuid?.() !== 0) return
  const directory = statSync(dirname(path))
  if (directory.uid !== 0) giveFile(path, directory)
}

/** Gives a file or directory of root to somebody else; a link, and a file with other names, stays. */
export function giveFile(
  path: string,
  { uid, gid }: { readonly uid: number; readonly gid: number },
): void {
  // Whoever owns the directory may put a link there, to have any file of the system given to them.
  const descriptor = openSync(
    path,
    constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
  )
  try {
    const found = fstatSync(descriptor)
    const isPlain = found.isDirectory() || (found.isFile() && found.nlink === 1)
    if (found.uid === 0 && isPlain) fchownSync(descriptor, uid, gid)
  } finally {
    closeSync(descriptor)
  }
}
