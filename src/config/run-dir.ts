/**
 * Where the daemon of a config file is met. Says so also when the rest of the file is wrong: one must
 * be able to ask a daemon whose config has been damaged since it started.
 */
import { dirname, resolve } from 'node:path'
import { parseDocument } from 'yaml'
import { findConfig } from './load.ts'
import { defaultRunDir } from './normalize.ts'
import { readConfigText } from './read-text.ts'

/** Absolute path of `run_dir`. Throws CONFIG_NOT_FOUND, CONFIG_UNREADABLE. */
export async function findRunDir(flag: string | undefined): Promise<string> {
  const file = await findConfig(flag)
  const value: unknown = parseDocument(await readConfigText(file)).get('run_dir')
  return resolve(dirname(file), typeof value === 'string' ? value : defaultRunDir)
}
