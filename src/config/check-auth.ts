/** Who judges logins: what is needed for it, at each back-end that users log in at. */
import type { Problem } from '../base/problem.ts'
import { type Locate, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'

const services = ['imap', 'pop3', 'sieve', 'submission'] as const

export function checkAuth({ auth, backends }: RawConfig, locate: Locate): Problem[] {
  const at = locate(['auth'])
  if (auth?.mode !== 'verify') {
    if (auth?.passwd_file === undefined) return []
    const hint = 'write mode: verify, or leave it out'
    return [problem('unused-passwords', 'auth.passwd_file: is for mode verify', at, hint)]
  }
  const without = Object.entries(backends).flatMap(([name, backend]) => {
    const isAsked = services.some((service) => backend[service] !== undefined)
    if (!isAsked || backend.admin !== undefined) return []
    const text = `backends.${name}: has no admin to log in with, which auth.mode verify needs`
    return [problem('no-admin', text, locate(['backends', name]), 'give admin')]
  })
  if (auth.passwd_file !== undefined) return without
  return [problem('no-passwords', 'auth: mode verify needs passwd_file', at), ...without]
}
