/** Directories for what nobody else may write: durable state, the control socket. */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { realDisk } from './disk.ts'
import { giveFile } from './own-as-directory.ts'

/** Makes the directory where there is none. Throws what the system reports, and as below. */
export async function makePrivateDirectory(path: string): Promise<void> {
  await realDisk.makeDirectory(path)
  refuseOpenDirectory(path)
}

/** Throws where everybody may write there: they could put anything in the place of what is ours. */
export function refuseOpenDirectory(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found === undefined || (found.mode & 0o002) === 0) return
  throw new Error(
    'everybody may write there: take the right from them (chmod o-w), or name another',
  )
}

/**
 * Gives a directory of root to somebody else, with the files of root in it and in the directories in
 * it. One that belongs to anybody else stays as it is. Throws what the system reports.
 */
export function giveDirectory(
  path: string,
  owner: { readonly uid: number; readonly gid: number },
): void {
  // Only while nobody else can put names there.
  if (statSync(path).uid !== 0) return
  for (const entry of readdirSync(path, { withFileTypes: true })) {
    const own = join(path, entry.name)
    if (entry.isDirectory()) {
      for (const name of readdirSync(own)) giveFile(join(own, name), owner)
    }
    if (entry.isDirectory() || entry.isFile()) giveFile(own, owner)
  }
  giveFile(path, owner)
}
