/** Perdition's popmap: key:[user@]host[:port], logins only. */
import { divideKeyedLine, writeKey } from '../sources/line-grammar.ts'
import type { Value } from '../value.ts'
import { exportedLogins, notCarried, notCarriedRules } from './export-entries.ts'
import type { Target } from './fact.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { backendOf, hostPort, loginEndpoint, readServer } from './server-text.ts'

export const perditionPopmap: MapFormat = {
  name: 'perdition-popmap',
  summary: 'Perdition popmap: key:[user@]host[:port]',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const divided = divideKeyedLine(line.text, 'colon')
    const to = divided && readLogin(divided.value)
    if (divided === undefined || to === undefined) {
      found.note(line, 'it is not key:[user@]host[:port]')
    } else {
      found.facts.push({ kind: 'user', at: line.at, key: divided.key, side: 'retrieval', to })
    }
  }
  return found
}

/** `[user@]host[:port]`; the last `@` divides. */
export function readLogin(text: string): Target | undefined {
  const at = text.lastIndexOf('@')
  const server = readServer(text.slice(at + 1), 'imap')
  if (server === undefined || at === 0) return undefined
  return { kind: 'server', server, ...(at === -1 ? {} : { login: text.slice(0, at) }) }
}

/** Undefined where it has no server. */
export function printLogin(map: ExportedMap, value: Value | undefined): string | undefined {
  if (value === undefined || !('backend' in value)) return undefined
  const backend = backendOf(map.config, value.backend)
  const endpoint = backend && loginEndpoint(backend)
  if (endpoint === undefined) return undefined
  return (value.kind === 'rename' ? `${value.login}@` : '') + hostPort(endpoint)
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const user of exportedLogins(map)) {
    if ('reason' in user) {
      yield user
      continue
    }
    const { name, retrieval } = user
    const value = printLogin(map, retrieval)
    if (value !== undefined) yield `${writeKey(name)}:${value}`
    else if (retrieval !== undefined && 'backend' in retrieval) {
      yield notCarried(name, `${retrieval.backend} has no port for logins`)
    }
  }
  yield* notCarriedRules(map, 'popmap has no rules: see perdition-popmap-re')
}
