import { chownSync, statSync } from 'node:fs'
import { dirname } from 'node:path'

/**
 * Where root makes a file in a directory of somebody else, such as that of the daemon's user, gives
 * it to them: they must be able to use it too. Does nothing for anybody else. Throws what the system
 * reports.
 */
export function ownAsDirectory(path: string): void {
  if (process.getuid?.() !== 0) return
  const [directory, file] = [statSync(dirname(path)), statSync(path)]
  if (file.uid === 0 && directory.uid !== 0) chownSync(path, directory.uid, directory.gid)
}
