/** The text that makemap reads: virtusertable, and Sendmail's user databases. */
import { divideKeyedLine, writeKey } from '../sources/line-grammar.ts'
import { parseVerdict } from '../sources/parse-value.ts'
import type { Value } from '../value.ts'
import {
  exportedAliases,
  exportedUsers,
  notCarried,
  notCarriedRules,
  verdictText,
  withDomain,
} from './export-entries.ts'
import type { Target } from './fact.ts'
import {
  entryLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { backendOf, readServer } from './server-text.ts'

export const makemapText: MapFormat = {
  name: 'makemap',
  summary: 'makemap text: virtusertable, user databases: key, blank, value',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of entryLines(input)) {
    const divided = divideKeyedLine(line.text, 'blank')
    if (divided === undefined) {
      found.note(line, 'it has no value')
      continue
    }
    const { key, value } = divided
    const to = readValue(value)
    if (to === undefined) found.note(line, `${value} is no address, host or error:`)
    else found.facts.push({ kind: 'user', at: line.at, key, side: 'both', to })
  }
  return found
}

/** Of `name@host` nobody can tell whether the host is a server; one without a dot is. */
function readValue(value: string): Target | undefined {
  if (/^error:/i.test(value)) {
    const verdict = parseVerdict('reject', value.slice(6))
    return 'value' in verdict && verdict.value.kind === 'reject' ? verdict.value : undefined
  }
  if (/\s/.test(value)) return undefined
  const at = value.lastIndexOf('@')
  if (at === -1) {
    const server = readServer(value)
    return server && { kind: 'server', server }
  }
  const host = value.slice(at + 1)
  const server = host.includes('.') ? undefined : readServer(host)
  if (server !== undefined) return { kind: 'server', server, login: value.slice(0, at) }
  return { kind: 'forward', address: value }
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery === undefined) continue
    const value = printValue(map, name, delivery)
    yield value === undefined
      ? notCarried(name, 'deferrals and unknown back-ends have no form here')
      : `${writeKey(name)}\t${value}`
  }
  for (const { name, targets } of exportedAliases(map)) {
    const [only, second] = targets
    if (only === undefined || second !== undefined || /\s/.test(only)) {
      yield notCarried(name, 'a line has one target of one word: put it into aliases')
    } else yield `${writeKey(name)}\t${withDomain(map, only)}`
  }
  yield* notCarriedRules(map, 'it has no rules')
}

function printValue(map: ExportedMap, name: string, value: Value): string | undefined {
  switch (value.kind) {
    case 'backend':
    case 'rename': {
      const host = backendOf(map.config, value.backend)?.host
      const login = value.kind === 'rename' ? value.login : name
      const [local = ''] = login.split(/@(?=[^@]*$)/)
      return host === undefined ? undefined : `${local}@${host}`
    }
    case 'forward':
      return value.address
    case 'reject':
      return `error:${verdictText(value)}`
    case 'defer':
      return undefined
    default:
      return value satisfies never
  }
}
