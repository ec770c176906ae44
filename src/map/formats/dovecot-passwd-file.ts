/** Dovecot's passwd-file with the extra fields of a proxy. Passwords are neither read nor written. */
import { exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import type { Server } from './fact.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
  type TextLine,
} from './map-format.ts'
import { backendOf, isUsualPort, loginEndpoint, readServer } from './server-text.ts'

export const dovecotPasswdFile: MapFormat = {
  name: 'dovecot-passwd-file',
  summary: 'Dovecot passwd-file: user:::::::proxy=y host=… port=… destuser=…',
  parse,
  print,
}

/** Where the mailbox is; and how the proxy speaks to the back-end, which is in our config. */
const understood = new Set([
  'host',
  'destuser',
  'port',
  'ssl',
  'starttls',
  'proxy',
  'proxy_maybe',
  'proxy_timeout',
  'protocol',
  'nopassword',
  'nodelay',
  'hostip',
])

function parse(input: ParseInput): Findings {
  const found = new Findings()
  let [passwords, first] = [0, 1]
  for (const line of entryLines(input)) {
    const parts = line.text.split(':')
    const [user = '', password = ''] = parts
    if (password !== '' && passwords++ === 0) first = line.at.line
    if (user === '' || parts.length < 2) {
      // Without its words: they may be secret.
      found.note({ ...line, text: '' }, 'it is not user:password:uid:gid:gecos:home:shell:fields')
    } else takeUser({ ...line, text: user }, parts.slice(7).join(':'), input.backend, found)
  }
  if (passwords > 0) {
    const about = passwords === 1 ? 'a password' : `${passwords} passwords`
    const at = { file: input.file, line: first, column: 1 }
    found.notes.push({ at, about, reason: 'left out: the back-ends check passwords' })
  }
  return found
}

/** `line` has the user's name alone. */
function takeUser(
  line: TextLine,
  text: string,
  backend: string | undefined,
  found: Findings,
): void {
  const fields = fieldsOfText(text)
  const host = fields.get('host')
  if (host === undefined && fields.has('nologin')) {
    const reason = fields.get('reason') ?? ''
    found.note(line, `it may not log in${reason && ` (${reason})`}: popmap has no such lines`)
    return
  }
  const server = host === undefined ? readServer(backend ?? '') : serverOf(host, fields)
  const login = fields.get('destuser')
  if (server === undefined || login?.includes('%') === true) {
    const hint = 'it names no server: say whose users these are with --backend'
    found.note(line, host === undefined ? hint : 'its host, port or destuser is none, or has a %')
    return
  }
  const named = login === undefined || login === '' || login === line.text ? {} : { login }
  // Of a server's own file mail goes there, too; a proxy's is about logins.
  const side = host === undefined ? 'both' : 'retrieval'
  const to = { kind: 'server', server, ...named } as const
  found.facts.push({ kind: 'user', at: line.at, key: line.text, side, to })
  const others = [...fields.keys()].filter((name) => !understood.has(name))
  if (others.length > 0) found.note(line, `fields without a counterpart: ${others.join(', ')}`)
}

function fieldsOfText(text: string): Map<string, string> {
  const words = text.split(/\s+/).filter((word) => word !== '')
  return new Map(
    words.map((word) => {
      const [name = '', ...value] = word.split('=')
      return [name, value.join('=')] as const
    }),
  )
}

/** Addresses of version 6 stand here without brackets. Undefined where it is no host or port. */
function serverOf(host: string, fields: ReadonlyMap<string, string>): Server | undefined {
  const isWhole = /^(?:[\w.-]+|[\da-fA-F:.]*::?[\da-fA-F:.]+)$/.test(host)
  const port = Number(fields.get('port') ?? 0)
  if (!isWhole || !Number.isInteger(port) || port < 0 || port > 65_535) return undefined
  return { host, ...(port > 0 ? { port } : {}), protocol: 'imap' }
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  const told = new Set<string>()
  // Dovecot adds auth_default_realm to a name without a domain.
  for (const found of exportedLogins(map, 'addresses')) {
    if ('reason' in found) {
      yield found
      continue
    }
    const { name, backend, login } = found
    const fields = fieldsOf(map, backend)
    if (fields === undefined) yield notCarried(name, `${backend} has no port for logins`)
    else if (/^#|:/.test(name)) yield notCarried(name, 'a name here has no colon, nor # first')
    else yield `${name}:::::::proxy=y nopassword=y ${fields.text} destuser=${login}`
    if (fields?.fault !== undefined && !told.has(backend)) {
      told.add(backend)
      yield notCarried(backend, fields.fault)
    }
  }
  yield* notCarriedRules(map, 'a passwd-file has no rules')
}

interface Fields {
  readonly text: string
  /** What one line cannot say of the back-end. */
  readonly fault?: string
}

/**
 * Fields hold for every protocol: without `port` Dovecot takes that of the protocol in use, so it is
 * told only where it is another.
 */
function fieldsOf({ config }: ExportedMap, name: string): Fields | undefined {
  const backend = backendOf(config, name)
  const endpoint = backend && loginEndpoint(backend)
  if (backend === undefined || endpoint === undefined) return undefined
  const tls = { none: '', starttls: ' starttls=yes', implicit: ' ssl=yes' }[endpoint.tls]
  const isUsual = isUsualPort(endpoint)
  const text = `host=${endpoint.host}${isUsual ? '' : ` port=${endpoint.port}`}${tls}`
  const odd = (['pop3', 'sieve'] as const).filter((protocol) => {
    const other = backend.endpoints[protocol]
    if (other === undefined || protocol === endpoint.protocol) return false
    return !isUsual || !isUsualPort({ protocol, ...other }) || other.tls !== endpoint.tls
  })
  if (odd.length === 0) return { text }
  const names = odd.map((protocol) => (protocol === 'pop3' ? 'POP3' : 'ManageSieve')).join(' and ')
  const fault = `another port or TLS for ${names}: ${names} proxies need a file of their own`
  return { text, fault }
}
