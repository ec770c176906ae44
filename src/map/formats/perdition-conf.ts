/** perdition.conf: what of it a map and a config of ours can say. */
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
  domain_delimiter: 'logins are divided at the last @',
  strip_domain: 'write the other name before the @ of the value in popmap',
  add_domain: 'set default_domain in the config',
  query_key: 'keys are asked as name+detail@domain, name@domain, name',
  listen_port: 'set listen in the config',
  bind_address: 'set listen in the config',
  protocol: 'set listen in the config: imap and pop3',
  outgoing_port: 'set imap and pop3 of the back-end in the config',
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
  for (const line of entryLines(input)) {
    const [, name = '', value = ''] =
      /^\s*([A-Za-z_-]+)(?:\s*[= \t]\s*"?([^"#]*?)"?)?\s*(?:#.*)?$/.exec(line.text) ?? []
    const setting = name.toLowerCase().replaceAll('-', '_')
    if (setting === 'outgoing_server') takeServers(line, value, found)
    else found.note(line, advice[setting] ?? 'it has no counterpart')
  }
  return found
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
