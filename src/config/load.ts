/** Finds and reads the config file, and what the environment has for it: no other room looks there. */
import { lstat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { counted } from '../base/counted.ts'
import { MailmuxError } from '../base/error.ts'
import { formatProblem, type Problem } from '../base/problem.ts'
import type { Config } from './config.ts'
import { withCredentials } from './credentials.ts'
import { parseConfig } from './parse.ts'
import { readConfigText } from './read-text.ts'

/** What was found wrong with a config file: all of it, for a person and for `--json`. */
export class ConfigProblems extends MailmuxError {
  readonly problems: readonly Problem[]

  constructor(file: string, problems: readonly Problem[]) {
    const count = counted(problems.length, 'problem')
    super('CONFIG_INVALID', [...problems.map(formatProblem), `${file}: ${count}`].join('\n'))
    this.problems = problems
  }
}

export interface LoadedConfig {
  readonly config: Config
  readonly warnings: readonly Problem[]
}

/** The file that a command without `--config` would read. Throws CONFIG_NOT_FOUND. */
export async function findConfig(flag: string | undefined): Promise<string> {
  const named = flag ?? process.env['MAILMUX_CONFIG']
  if (named !== undefined && named !== '') return resolve(named)
  for (const candidate of ['mailmux.yaml', '/etc/mailmux/mailmux.yaml']) {
    const file = resolve(candidate)
    if (await isThere(file)) return file
  }
  throw new MailmuxError('CONFIG_NOT_FOUND', 'no config file found')
}

/** A file that may not be read, or a link to nothing, is a mistake to be told of, not to be passed by. */
async function isThere(file: string): Promise<boolean> {
  return lstat(file).then(
    () => true,
    ({ code }: NodeJS.ErrnoException) => code !== 'ENOENT' && code !== 'ENOTDIR',
  )
}

/** Reads and checks a config file. Throws CONFIG_UNREADABLE, CONFIG_INVALID (as ConfigProblems). */
export async function loadConfig(file: string): Promise<LoadedConfig> {
  const parsed = parseConfig(await readConfigText(file), file)
  if ('problems' in parsed) throw new ConfigProblems(file, parsed.problems)
  const config = withCredentials(parsed.config, process.env['CREDENTIALS_DIRECTORY'])
  return { ...parsed, config }
}
