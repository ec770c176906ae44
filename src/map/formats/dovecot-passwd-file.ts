/** Dovecot's passwd-file with the extra fields of a proxy. Passwords are neither read nor written. */
import { addressesOfName, exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import type { Target } from './fact.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
  type TextLine,
} from './map-format.ts'
import { backendOf, loginEndpoint } from './server-text.ts'

export const dovecotPasswdFile: MapFormat = {
  name: 'dovecot-passwd-file',
  summary: 'Dovecot passwd-file: user:::::::proxy=y host=… port=… destuser=…',
  parse,
  print,
}

/** Fields that say how the proxy speaks to the back-end: that is in our config. */
const ofTheConfig = new Set([
  'port',
  'ssl',
  'starttls',
  'proxy',
  'proxy_maybe',
  'proxy_timeout',
  'protocol',
  'nopassword',
  'nodelay',
  'reason',
  'hostip',
])

function parse(input: ParseInput): Findings {
  const found = new Findings()
  let passwords = 0
  for (const line of entryLines(input)) {
    const parts = line.text.split(':')
    const [user = '', password = ''] = parts
    if (user === '' || parts.length < 2) {
      found.note(line, 'it is not user:password:uid:gid:gecos:home:shell:fields')
      continue
    }
    if (password !== '') passwords++
    takeFields(line, user, parts.slice(7).join(':'), found)
  }
  if (passwords > 0) {
    const about = `${passwords} passwords`
    const reason = 'passwords stay with the back-ends, which check them'
    found.notes.push({ at: { file: input.file, line: 1, column: 1 }, about, reason })
  }
  return found
}

function takeFields(line: TextLine, user: string, text: string, found: Findings): void {
  const words = text.split(/\s+/).filter((word) => word !== '')
  const fields = new Map(
    words.map((word) => {
      const [name = '', ...value] = word.split('=')
      return [name, value.join('=')] as const
    }),
  )
  const to = routeOf(fields, user)
  if (to === undefined) {
    // Without the words after it: they may be secret.
    found.note({ ...line, text: user }, 'it has no host, and is not locked out')
    return
  }
  found.facts.push({ kind: 'user', at: line.at, key: user, side: 'retrieval', to })
  const others = [...fields.keys()].filter(
    (name) => !ofTheConfig.has(name) && !['host', 'destuser', 'nologin'].includes(name),
  )
  if (others.length > 0) {
    found.note({ ...line, text: user }, `fields without a counterpart: ${others.join(', ')}`)
  }
}

function routeOf(fields: ReadonlyMap<string, string>, user: string): Target | undefined {
  const host = fields.get('host')
  if (host === undefined || host === '') return undefined
  if (fields.has('nologin') && !fields.has('proxy')) return undefined
  const port = Number(fields.get('port') ?? '')
  const login = fields.get('destuser')
  return {
    kind: 'server',
    server: { host, ...(port > 0 ? { port } : {}), protocol: 'imap' },
    ...(login === undefined || login === '' || login === user ? {} : { login }),
  }
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const user of exportedLogins(map)) {
    if ('reason' in user) {
      yield user
      continue
    }
    const { name, retrieval } = user
    if (retrieval === undefined || !('backend' in retrieval)) continue
    const backend = backendOf(map.config, retrieval.backend)
    const endpoint = backend && loginEndpoint(backend)
    if (endpoint === undefined || /[:\s]/.test(name)) {
      yield notCarried(
        name,
        'its back-end has no port for logins, or its name has a colon or blank',
      )
      continue
    }
    const tls = { none: '', starttls: ' starttls=yes', implicit: ' ssl=yes' }[endpoint.tls]
    // Dovecot adds auth_default_realm to a name without a domain.
    for (const user of addressesOfName(map, name)) {
      const login = retrieval.kind === 'rename' ? retrieval.login : user
      const route = `host=${endpoint.host} port=${endpoint.port} destuser=${login}${tls}`
      yield `${user}:::::::proxy=y nopassword=y ${route}`
    }
  }
  yield* notCarriedRules(map, 'a passwd-file has no rules')
}
