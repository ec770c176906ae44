/** Perdition's popmap: key:[user@]host[:port], logins only. */
import { divideKeyedLine, writeKey } from '../sources/line-grammar.ts'
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

interface PrintedLogin {
  readonly backend: string
  /** Where it is another than the user's. */
  readonly login?: string
}

/** Undefined where the back-end has no port for logins. */
export function printLogin(
  { config }: ExportedMap,
  { backend: name, login }: PrintedLogin,
): string | undefined {
  const backend = backendOf(config, name)
  const endpoint = backend && loginEndpoint(backend)
  if (endpoint === undefined) return undefined
  return (login === undefined ? '' : `${login}@`) + hostPort(endpoint)
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const found of exportedLogins(map, 'name and addresses')) {
    if ('reason' in found) {
      yield found
      continue
    }
    const { name, backend, login, isRenamed } = found
    const value = printLogin(map, { backend, ...(isRenamed ? { login } : {}) })
    yield value === undefined
      ? notCarried(name, `${backend} has no port for logins`)
      : `${writeKey(name)}:${value}`
  }
  yield* notCarriedRules(map, 'popmap has no rules: see perdition-popmap-re')
}
