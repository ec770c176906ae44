/** A back-end by the name that somebody has typed. */
import { MailmuxError } from '../base/error.ts'
import { nearest } from '../base/nearest.ts'
import type { BackendConfig, Config } from './config.ts'

/** Throws BACKEND_UNKNOWN, with what was perhaps meant. */
export function namedBackend({ backends }: Pick<Config, 'backends'>, name: string): BackendConfig {
  const backend = backends.get(name)
  if (backend !== undefined) return backend
  const meant = nearest(name, backends.keys())
  const instead = meant === undefined ? '' : `: did you mean ${meant}?`
  throw new MailmuxError('BACKEND_UNKNOWN', `no back-end is called ${name}${instead}`)
}
