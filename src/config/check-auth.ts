/** Who judges logins: what is needed for it, at each back-end that users log in at. */
import type { Problem } from '../base/problem.ts'
import { type Locate, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'

const services = ['imap', 'pop3', 'sieve', 'submission'] as const

export function checkAuth(raw: RawConfig, locate: Locate): Problem[] {
  const { auth, backends } = raw
  const at = locate(['auth'])
  const { mode, passwd_file, ldap } = auth ?? {}
  if (mode !== 'verify') {
    const unused = passwd_file === undefined ? ldap && 'ldap' : 'passwd_file'
    const hint = 'write mode: verify, or leave it out'
    return unused
      ? [problem('unused-passwords', `auth.${unused}: is for mode verify`, at, hint)]
      : []
  }
  const problems = Object.entries(backends).flatMap(([name, backend]) => {
    const isAsked = services.some(
      (service) => backend[service] !== undefined && !isForOthers(raw, name, service),
    )
    if (!isAsked || backend.admin !== undefined) return []
    const text = `backends.${name}: has no admin to log in with, which auth.mode verify needs`
    return [problem('no-admin', text, locate(['backends', name]), 'give admin')]
  })
  if ((passwd_file === undefined) === (ldap === undefined)) {
    problems.push(problem('no-passwords', 'auth: mode verify needs passwd_file or ldap', at))
  }
  if (ldap !== undefined) problems.push(...checkLdap(ldap, locate))
  return problems
}

/** At the smarthost another login is for all of them. */
function isForOthers({ smarthost }: RawConfig, backend: string, service: string): boolean {
  if (typeof smarthost !== 'object' || smarthost.submission === undefined) return false
  return smarthost.backend === backend && service === 'submission'
}

type RawLdap = NonNullable<NonNullable<RawConfig['auth']>['ldap']>

/** Passwords of users go there: in clear text only where nobody can listen. */
function checkLdap({ url, tls }: RawLdap, locate: Locate): Problem[] {
  const isImplicit = url.startsWith('ldaps:')
  const at = locate(['auth', 'ldap', 'url'], true)
  if (isImplicit && tls !== undefined) {
    return [problem('tls-twice', 'auth.ldap.tls: is for ldap://; ldaps:// has TLS by itself', at)]
  }
  const isHere = /^ldap:\/\/(?:127\.[\d.]+|\[::1\]|localhost)(?:[:/]|$)/.test(url)
  if (isImplicit || tls === 'starttls' || isHere) return []
  const hint = 'write ldaps://, or tls: starttls'
  return [problem('clear-passwords', 'auth.ldap: would be told passwords in clear text', at, hint)]
}
