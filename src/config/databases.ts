/** What the file says of databases → how the build reads them, or what is wrong with it. */
import { nearest } from '../base/nearest.ts'
import { isCredential } from './credentials.ts'
import type { DatabaseConfig, FilledSource, LdapConfig, SqlConfig } from './database-config.ts'
import type { RawDatabase } from './database-schema.ts'
import { ldapConventions } from './ldap-conventions.ts'
import { parseDurationMs } from './unit.ts'

/** What is wrong, and with which key; undefined: with the whole. */
export interface DatabaseFault {
  readonly key: keyof RawDatabase | undefined
  readonly code: string
  readonly message: string
  readonly hint?: string
}

export interface DatabaseFrame {
  readonly source: FilledSource
  readonly hostname: string
  /** Makes a path absolute. */
  readonly resolvePath: (path: string) => string
}

const kinds: Readonly<Record<string, { kind: DatabaseConfig['kind']; port: number }>> = {
  'postgres:': { kind: 'postgres', port: 5432 },
  'postgresql:': { kind: 'postgres', port: 5432 },
  'mysql:': { kind: 'mysql', port: 3306 },
  'mariadb:': { kind: 'mysql', port: 3306 },
  'ldap:': { kind: 'ldap', port: 389 },
  'ldaps:': { kind: 'ldap', port: 636 },
}
const sqlKeys = ['query', 'socket'] as const
const ldapKeys = [
  'bind_dn',
  'base',
  'scope',
  'filter',
  'convention',
  'attributes',
  'local_hosts',
  'no_host',
] as const
const urlHint = 'write postgres://user@host/database, mysql://user@host/database or ldap://host'
const defaultTimeout = '5m'

export type ReadDatabase =
  | { readonly database: DatabaseConfig }
  | { readonly faults: readonly DatabaseFault[] }

/** Never tells more of the URL than its scheme: there may be a secret in it. */
export function readDatabase(raw: RawDatabase, frame: DatabaseFrame): ReadDatabase {
  const url = URL.parse(raw.url)
  const known = url === null ? undefined : kinds[url.protocol]
  if (url === null || known === undefined) return { faults: [badUrl(raw.url)] }
  const { kind } = known
  const isLdap = kind === 'ldap'
  const faults = [
    ...urlFaults(url, raw, isLdap),
    ...strangeKeys(raw, isLdap),
    ...tlsFaults(url, raw, kind),
    ...(isLdap ? ldapFaults(raw, frame.source) : sqlFaults(raw)),
  ]
  if (faults.length > 0) return { faults }
  const port = url.port === '' ? known.port : Number(url.port)
  const base = {
    source: frame.source,
    host: decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1') || 'localhost',
    port,
    passwordFile: optional(raw.password_file, (path) =>
      isCredential(path) ? path : frame.resolvePath(path),
    ),
    tlsCaFile: optional(raw.tls_ca, frame.resolvePath),
    tls: url.protocol === 'ldaps:' ? ('implicit' as const) : (raw.tls ?? 'none'),
    timeoutMs: parseDurationMs(raw.timeout ?? defaultTimeout),
  }
  const label = `${url.protocol}//${url.host || 'localhost'}`
  if (kind === 'ldap') return { database: { kind, ...base, ...ldapParts(raw, frame, label) } }
  return { database: { kind, ...base, ...sqlParts(raw, frame, url, label) } }
}

function optional<Text extends string, Result>(
  text: Text | undefined,
  use: (text: Text) => Result,
): Result | undefined {
  return text === undefined ? undefined : use(text)
}

type SqlParts = Pick<SqlConfig, 'label' | 'user' | 'database' | 'socket' | 'query'>

function sqlParts(raw: RawDatabase, frame: DatabaseFrame, url: URL, label: string): SqlParts {
  const database = decodeURIComponent(url.pathname.slice(1))
  return {
    label: `${label}/${database}`,
    user: decodeURIComponent(url.username),
    database,
    socket: optional(raw.socket, frame.resolvePath),
    query: raw.query ?? '',
  }
}

type LdapParts = Omit<LdapConfig, 'kind' | keyof DatabaseBase>
type DatabaseBase = Omit<SqlConfig, keyof SqlParts | 'kind'>

function ldapParts(raw: RawDatabase, frame: DatabaseFrame, label: string): LdapParts {
  const convention = optional(raw.convention, (name) => ldapConventions[name])
  const { key, ...others } = raw.attributes ?? {}
  const none = { host: undefined, port: undefined, user: undefined, address: undefined }
  const attributes = {
    ...none,
    targets: undefined,
    ...convention?.attributes,
    ...others,
    key: (typeof key === 'string' ? [key] : key) ?? convention?.attributes.key ?? [],
  }
  const anyKey = attributes.key.map((name) => `(${name}=*)`).join('')
  const base = raw.base ?? ''
  return {
    label: `${label}/${base}`,
    bindDn: raw.bind_dn,
    base,
    scope: raw.scope ?? 'sub',
    filter: raw.filter ?? convention?.filter ?? `(|${anyKey})`,
    attributes,
    localHosts: [frame.hostname, ...(raw.local_hosts ?? [])].map((host) => host.toLowerCase()),
    noHost: raw.no_host ?? 'pass',
  }
}

function badUrl(text: string): DatabaseFault {
  const scheme = /^([\w+.-]+):\/\//.exec(text)?.[1]
  const known = Object.keys(kinds).map((name) => name.slice(0, -1))
  const isKnown = scheme !== undefined && known.includes(scheme)
  const meant = scheme === undefined || isKnown ? undefined : nearest(scheme, known)
  return {
    key: 'url',
    code: 'bad-url',
    message: isKnown || scheme === undefined ? 'is no URL' : `${scheme}:// is not supported`,
    hint: meant === undefined ? urlHint : `did you mean ${meant}://?`,
  }
}

function urlFaults(url: URL, raw: RawDatabase, isLdap: boolean): DatabaseFault[] {
  const faults: DatabaseFault[] = []
  const add = (message: string, hint: string, code = 'bad-url'): void =>
    void faults.push({ key: 'url', code, message, hint })
  if (url.password !== '') {
    const hint = 'take it out, write it into a file, and name that: password_file'
    add('there is a password in it', hint, 'secret-in-config')
  }
  if (url.search !== '' || url.hash !== '') add('ends in settings', 'write them as keys beside url')
  const isPath = /^\/[^/]+$/.test(url.pathname)
  if (isLdap) {
    if (url.username !== '') add('names a user', 'write it as bind_dn')
    if (url.pathname !== '' && url.pathname !== '/') add('has a path', 'write it as base')
  } else if (url.username === '' || !isPath) {
    add('names no user or no database', `write ${url.protocol}//user@host/database`)
  }
  if (url.hostname === '' && raw.socket === undefined) add('names no host', urlHint)
  try {
    decodeURIComponent(`${url.username}${url.pathname}${url.hostname}`)
  } catch {
    add('has a % that begins no character', 'write %25')
  }
  return faults
}

function strangeKeys(raw: RawDatabase, isLdap: boolean): DatabaseFault[] {
  return (isLdap ? sqlKeys : ldapKeys)
    .filter((key) => raw[key] !== undefined)
    .map((key) => ({
      key,
      code: 'strange-key',
      message: isLdap ? 'is for SQL' : 'is for LDAP',
      hint: isLdap ? 'LDAP has base, filter and attributes' : 'SQL has query',
    }))
}

function tlsFaults(url: URL, raw: RawDatabase, kind: DatabaseConfig['kind']): DatabaseFault[] {
  const isImplicit = url.protocol === 'ldaps:'
  const hasTls = isImplicit || raw.tls === 'starttls'
  const faults: DatabaseFault[] = []
  if (isImplicit && raw.tls !== undefined) {
    const message = 'ldaps:// has TLS from the beginning'
    faults.push({ key: 'tls', code: 'tls-twice', message, hint: 'leave tls out, or write ldap://' })
  }
  if (raw.tls_ca !== undefined && !hasTls) {
    faults.push({
      key: 'tls_ca',
      code: 'no-tls',
      message: 'there is no TLS to use it',
      hint: 'write tls: starttls',
    })
  }
  if (hasTls && raw.socket !== undefined) {
    faults.push({
      key: 'tls',
      code: 'no-tls',
      message: 'a local socket has no TLS',
      hint: 'leave one of tls and socket out',
    })
  }
  // The client would take a certificate for `localhost` there.
  if (hasTls && kind === 'mysql' && /^[\d.]+$|^\[/.test(url.hostname)) {
    faults.push({
      key: 'url',
      code: 'tls-address',
      message: 'TLS needs the name of the host, not its address',
    })
  }
  return faults
}

function sqlFaults({ query }: RawDatabase): DatabaseFault[] {
  if (query !== undefined) return []
  const hint = 'write query: SELECT address, destination FROM …'
  return [{ key: undefined, code: 'missing-key', message: 'query is missing', hint }]
}

function ldapFaults(raw: RawDatabase, source: FilledSource): DatabaseFault[] {
  const faults: DatabaseFault[] = []
  const missing = (message: string, hint?: string): void =>
    void faults.push({ key: undefined, code: 'missing-key', message, ...(hint && { hint }) })
  const convention = optional(raw.convention, (name) => ldapConventions[name])
  const { key, host, address, targets } = { ...convention?.attributes, ...raw.attributes }
  if (raw.base === undefined) missing('base is missing', 'write the entry to search under')
  if (raw.bind_dn !== undefined && raw.password_file === undefined) {
    missing(
      'bind_dn needs password_file',
      'without a password, a server takes everybody for nobody',
    )
  }
  if (raw.bind_dn === undefined && raw.password_file !== undefined) {
    missing('password_file needs bind_dn')
  }
  if (convention !== undefined && !convention.sources.includes(source)) {
    const message = `${raw.convention} says nothing for ${source}`
    const hint = `it is for ${convention.sources.join(', ')}`
    faults.push({ key: 'convention', code: 'strange-convention', message, hint })
  }
  if (key === undefined) missing('attributes.key is missing', 'name it, or a convention')
  const isProxy = [key].flat().some((name) => name?.toLowerCase() === 'proxyaddresses')
  if (source === 'aliases' && targets === undefined && !isProxy) {
    missing('attributes.targets is missing', 'aliases need targets')
  }
  const leads = host ?? (source === 'user_map' ? address : undefined)
  const hasNames = source === 'user_map' && isProxy
  if (source !== 'aliases' && leads === undefined && !hasNames) {
    missing('attributes.host is missing', 'name the attribute that names the back-end')
  }
  if (raw.no_host === 'reject' && source !== 'user_map') {
    faults.push({ key: 'no_host', code: 'strange-key', message: 'reject is for user_map alone' })
  }
  return faults
}
