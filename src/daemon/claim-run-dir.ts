/** One daemon a run_dir. */
import { join } from 'node:path'
import { MailmuxError, messageOf } from '../base/error.ts'
import { takeLock } from '../storage/lock.ts'
import { makePrivateDirectory } from '../storage/private-directory.ts'

/** Holds `runDir` for this process until disposed of. Throws ALREADY_RUNNING, RUN_DIR_UNUSABLE. */
export async function claimRunDir(runDir: string): Promise<Disposable> {
  let lock: Disposable | undefined
  try {
    await makePrivateDirectory(runDir)
    lock = takeLock(join(runDir, 'lock'))
  } catch (error) {
    const text = `${runDir}: ${messageOf(error)}`
    throw new MailmuxError('RUN_DIR_UNUSABLE', text, { cause: error })
  }
  if (lock !== undefined) return lock
  throw new MailmuxError('ALREADY_RUNNING', `${runDir}: a daemon is running with this run_dir`)
}
