/**
 * Where the daemon of a config file is met. Says so also when the rest of the file is wrong: one must
 * be able to ask a daemon whose config has been damaged since it started.
 */
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { MailmuxError, messageOf } from '../base/error.ts'
import { findConfig } from './load.ts'
import { defaultRunDir } from './normalize.ts'

/** Absolute path of `run_dir`. Throws CONFIG_NOT_FOUND, CONFIG_UNREADABLE. */
export async function findRunDir(flag: string | undefined): Promise<string> {
  const file = await findConfig(flag)
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    throw new MailmuxError('CONFIG_UNREADABLE', `${file}: ${messageOf(error)}`, { cause: error })
  }
  const value: unknown = parseDocument(text).get('run_dir')
  return resolve(dirname(file), typeof value === 'string' ? value : defaultRunDir)
}
