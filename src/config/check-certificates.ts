/** Logins by certificates of clients: what the schema cannot say of where they are asked for. */
import type { Problem } from '../base/problem.ts'
import { type Locate, problem } from './locate.ts'
import type { RawConfig } from './schema.ts'
import { services } from './services.ts'

const loginServices = ['imap', 'pop3', 'sieve', 'submission'] as const
type LoginService = (typeof loginServices)[number]

export function checkCertificates(raw: RawConfig, locate: Locate): Problem[] {
  if (raw.tls?.client_ca === undefined) return checkUnused(raw, locate)
  if ((raw.tls.certificates ?? []).length === 0) {
    const at = locate(['tls', 'client_ca'])
    const text = 'tls.client_ca: certificates of clients are asked for by TLS alone'
    return [problem('no-certificate', text, at, 'give tls.certificates')]
  }
  return [...checkListeners(raw, locate), ...checkAdmins(raw, locate)]
}

/** What says something of certificates that nobody is asked for. */
function checkUnused(raw: RawConfig, locate: Locate): Problem[] {
  const hint = 'give tls.client_ca, or leave it out'
  const unused = (path: readonly (string | number)[]): Problem =>
    problem('no-client-ca', `${path.join('.')}: needs tls.client_ca`, locate(path), hint)
  const named = loginServices.flatMap((service) => {
    const index = raw.mechanisms?.[service]?.indexOf('EXTERNAL') ?? -1
    return index === -1 ? [] : [unused(['mechanisms', service, index])]
  })
  const keys = (['client_crl', 'client_user'] as const)
    .filter((key) => raw.tls?.[key] !== undefined)
    .map((key) => unused(['tls', key]))
  return [...keys, ...named, ...requestsOf(raw).map(unused)]
}

/** Listeners that are said to ask for certificates. */
function requestsOf({ listen }: RawConfig) {
  return services.flatMap((service) =>
    (listen?.[service] ?? []).flatMap((listener, index) =>
      typeof listener !== 'string' && listener.client_certificate === 'request'
        ? [['listen', service, index, 'client_certificate'] as const]
        : [],
    ),
  )
}

/** Nobody logs in by SMTP or LMTP. */
function checkListeners(raw: RawConfig, locate: Locate): Problem[] {
  return requestsOf(raw)
    .filter(([, service]) => service === 'smtp' || service === 'lmtp')
    .map((path) => {
      const text = `${path.join('.')}: nobody logs in by ${path[1]}`
      return problem('no-login', text, locate(path), 'leave it out')
    })
}

/** Who shows a certificate has no password for the back-end: an administrator must log in there. */
function checkAdmins(raw: RawConfig, locate: Locate): Problem[] {
  // Then each of them needs one in any case, and is told so.
  if (raw.auth?.mode === 'verify') return []
  return loginServices.flatMap((service) => {
    const allowed = raw.mechanisms?.[service]
    const isServed = (raw.listen?.[service] ?? []).length > 0
    if (!isServed || allowed?.includes('EXTERNAL') === false) return []
    return adminless(raw, service).map((name): Problem => {
      const message = `backends.${name}: has no admin, without which ${service} offers no EXTERNAL`
      const at = locate(['backends', name])
      const found = problem('no-admin', message, at, 'give admin')
      return allowed === undefined ? { ...found, severity: 'warning' } : found
    })
  })
}

function adminless({ backends }: RawConfig, service: LoginService): string[] {
  return Object.entries(backends)
    .filter(([, backend]) => backend[service] !== undefined && backend.admin === undefined)
    .map(([name]) => name)
}
