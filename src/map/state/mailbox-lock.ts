/** One process at a time copies the mailbox of a user. */
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { MailmuxError } from '../../base/error.ts'
import { describeHolder, takeLock } from '../../storage/lock.ts'
import { makePrivateDirectory } from '../../storage/private-directory.ts'

/** Keeps other processes from copying this user's mailbox. Throws MIGRATION_BUSY. */
export async function lockMailbox(stateDir: string, user: string): Promise<Disposable> {
  const folder = join(stateDir, 'copies')
  await makePrivateDirectory(folder)
  const name = createHash('sha256').update(user).digest('hex').slice(0, 24)
  const path = join(folder, `${name}.lock`)
  const lock = takeLock(path)
  if (lock !== undefined) return lock
  const who = describeHolder(path)
  throw new MailmuxError('MIGRATION_BUSY', `${user}: the mailbox is being copied already${who}`)
}
