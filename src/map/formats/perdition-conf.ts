/** perdition.conf: what of it a map and a config of ours can say. */
import { parseQueryKeys } from '../../mail/query-key.ts'
import {
  entryLines,
  Findings,
  type MapFormat,
  type ParseInput,
  type TextLine,
} from './map-format.ts'
import { readServer } from './server-text.ts'

export const perditionConf: MapFormat = {
  name: 'perdition-conf',
  summary: 'perdition.conf: the default server, and what to put into the config',
  parse,
}

/** What to do with a setting that is no route. */
const advice: Readonly<Record<string, string>> = {
  map_library: 'import the map itself: perdition-popmap or perdition-popmap-re',
  map_library_opt: 'import the map itself: perdition-popmap or perdition-popmap-re',
  strip_domain: 'write the other name before the @ of the value in popmap',
  add_domain: 'set default_domain in the config',
  listen_port: 'set listen in the config',
  bind_address: 'set listen in the config',
  protocol: 'set listen in the config: imap, pop3 and sieve',
  outgoing_port: 'set imap, pop3 and sieve of the back-end in the config',
  ssl_mode: 'set tls of the listeners and of the back-ends in the config',
  ssl_cert_file: 'set tls.certificates in the config',
  ssl_key_file: 'set tls.certificates in the config',
  ssl_ca_file: 'set tls_ca of the back-end in the config',
  timeout: 'set limits.session_timeout in the config',
  authenticate_timeout: 'set limits.preauth_timeout in the config',
  connection_limit: 'set limits.sessions in the config',
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  let delimiter: Setting | undefined
  let queryKey: Setting | undefined
  for (const line of entryLines(input)) {
    const { name, value } = readSetting(line.text)
    const setting = longNames[name] ?? name.toLowerCase().replaceAll('-', '_')
    if (setting === 'outgoing_server') takeServers(line, value, found)
    else if (setting === 'domain_delimiter') delimiter = { line, value }
    else if (setting === 'query_key') queryKey = { line, value }
    else found.note(line, advice[setting] ?? 'it has no counterpart')
  }
  if (delimiter !== undefined) takeDelimiter(delimiter, found)
  if (queryKey !== undefined) takeQueryKey(queryKey, delimiter?.value ?? '@', found)
  // In the order of the file, not of what depends on what.
  found.notes.sort((one, other) => (one.at?.line ?? 0) - (other.at?.line ?? 0))
  return found
}

interface Setting {
  readonly line: TextLine
  readonly value: string
}

/** Options by the one letter of the command line. */
const longNames: Readonly<Record<string, string>> = {
  D: 'domain_delimiter',
  M: 'map_library',
  m: 'map_library_opt',
  s: 'outgoing_server',
}

/** As perdition(8) reads a line: quotes, a backslash before what stands for itself, `#` to its end. */
function readSetting(text: string): { name: string; value: string } {
  const words = ['', '']
  let word: 0 | 1 = 0
  for (const [whole, single, double, escaped] of text
    .trim()
    .matchAll(/'([^']*)'|"([^"]*)"|\\(.)|./gsu)) {
    const literal = single ?? double ?? escaped
    if (literal === undefined && whole === '#') break
    if (literal === undefined && word === 0 && /[\s=]/.test(whole)) word = 1
    else words[word] += literal ?? whole
  }
  const [name = '', value = ''] = words
  return { name, value: value.replace(/^\s*=/, '').trim() }
}

function takeDelimiter({ line, value }: Setting, found: Findings): void {
  if (value === '@') found.carry(line, 'it is the same here')
  else found.note(line, 'logins are divided at the last @')
}

/** Keys are the site's own and stay: where they have another delimiter, the template gets it. */
function takeQueryKey({ line, value }: Setting, delimiter: string, found: Findings): void {
  const own = delimiter.replaceAll('\\', String.raw`\\`)
  const written =
    delimiter === '@'
      ? value
      : value.replace(/\\(.)/gsu, (whole, letter: string) => {
          if (letter === 'U') return String.raw`\u${own}\d`
          return letter === 'D' ? own : whole
        })
  const parsed = parseQueryKeys(written)
  if ('refused' in parsed) return found.note(line, `${parsed.refused}; ${parsed.hint}`)
  if (own.includes(',')) return found.note(line, 'a comma divides templates')
  const text = written.replaceAll("'", "''")
  const hint = written.includes(String.raw`\U`)
    ? '; a login without a domain has default_domain'
    : ''
  return found.carry(line, `write under map in the config: query_key: '${text}'${hint}`)
}

function takeServers(line: TextLine, value: string, found: Findings): void {
  const servers = value.split(/[\s,]+/).filter((word) => word !== '')
  const read = servers.flatMap((word) => readServer(word, 'imap') ?? [])
  if (read.length === 0 || read.length < servers.length) {
    found.note(line, `${value} is no list of servers`)
    return
  }
  const weighted = read.map((server) => ({ server, weight: 1 }))
  const [first] = read
  if (first !== undefined && read.length === 1) {
    const to = { kind: 'server', server: first } as const
    found.facts.push({ kind: 'rule', at: line.at, match: '*', to })
  } else found.facts.push({ kind: 'shares', at: line.at, match: '*', servers: weighted })
}
