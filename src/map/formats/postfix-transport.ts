/** Postfix transport(5). */
import { parseVerdict } from '../sources/parse-value.ts'
import type { Destination } from '../rule.ts'
import type { Value } from '../value.ts'
import {
  addressesOfName,
  exportedAliases,
  exportedUsers,
  hasDelivery,
  notCarried,
  notCarriedRules,
} from './export-entries.ts'
import type { Target } from './fact.ts'
import {
  continuedLines,
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { divideEntry, printKey } from './postfix-key.ts'
import { backendOf, bracket, mailEndpoint, readServer } from './server-text.ts'

export const postfixTransport: MapFormat = {
  name: 'postfix-transport',
  summary: 'Postfix transport: address or domain, blank, transport:nexthop',
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const line of continuedLines(input)) {
    const { key, value } = divideEntry(line.text)
    if (value === '') {
      found.note(line, 'it has no value')
      continue
    }
    const to = readNexthop(value)
    if (to === undefined) found.note(line, `${value} names no server`)
    else if (key.includes('@') && !key.startsWith('@')) {
      found.facts.push({ kind: 'user', at: line.at, key, side: 'delivery', to })
    } else if (key === '*') found.facts.push({ kind: 'rule', at: line.at, match: '*', to })
    else if (key.startsWith('.')) {
      found.facts.push({ kind: 'rule', at: line.at, match: `*@*${key}`, to })
    } else {
      const match = key.startsWith('@') ? key : `@${key}`
      found.facts.push({ kind: 'rule', at: line.at, match, to })
    }
  }
  return found
}

function readNexthop(value: string): Target | undefined {
  const [, transport = '', nexthop = ''] = /^([\w-]*):(.*)$/s.exec(value) ?? []
  if (transport === 'error' || transport === 'retry') {
    const kind = transport === 'error' ? 'reject' : 'defer'
    const verdict = parseVerdict(kind, nexthop)
    if (!('value' in verdict)) return undefined
    const { value: said } = verdict
    return said.kind === 'reject' || said.kind === 'defer' ? said : undefined
  }
  // Of several hosts in a list the first is the one that is preferred.
  const [first = ''] = nexthop.replace(/^inet:/, '').split(/[\s,]+/)
  const server = readServer(first, transport === 'lmtp' ? 'lmtp' : 'smtp')
  return server && { kind: 'server', server }
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, delivery } of exportedUsers(map)) {
    if (delivery === undefined || delivery.kind === 'forward') continue
    const value = printValue(map, delivery)
    if (delivery.kind === 'rename') {
      yield notCarried(name, `the name ${delivery.login} there needs postfix-virtual`)
    }
    if (value === undefined) yield notCarried(name, 'its back-end takes no mail')
    else {
      for (const address of addressesOfName(map, name, hasDelivery)) {
        // A domain has no @ here.
        yield `${printKey(address).replace(/^@/, '')}\t${value}`
      }
    }
  }
  for (const rule of map.rules) {
    const { match } = rule
    const key = match.kind === 'domain' ? match.domain : match.kind === 'any' ? '*' : undefined
    const value = key === undefined ? undefined : printValue(map, rule.destination)
    if (value !== undefined) yield `${key}\t${value}`
  }
  const domainRules = new Set(
    map.rules
      .filter(({ match, destination }) => {
        const isKey = match.kind === 'domain' || match.kind === 'any'
        return isKey && printValue(map, destination) !== undefined
      })
      .map(({ text }) => text),
  )
  yield* notCarriedRules(map, 'transport has domains and * only', (text) => domainRules.has(text))
  for (const { name } of exportedAliases(map)) {
    yield notCarried(name, 'aliases need postfix-virtual')
  }
}

function printValue(map: ExportedMap, value: Value | Destination): string | undefined {
  switch (value.kind) {
    case 'backend':
    case 'rename': {
      const backend = backendOf(map.config, value.backend)
      const endpoint = backend && mailEndpoint(backend)
      return (
        endpoint &&
        (endpoint.protocol === 'lmtp'
          ? `lmtp:inet:${bracketed(endpoint.host)}:${endpoint.port}`
          : `smtp:${bracketed(endpoint.host)}:${endpoint.port}`)
      )
    }
    case 'reject':
      return `error:${value.status} ${value.text}`
    case 'defer':
      return `retry:${value.status} ${value.text}`
    case 'forward':
    case 'hash':
      return undefined
    default:
      return value satisfies never
  }
}

/** In brackets: the host itself, not its MX. */
function bracketed(host: string): string {
  return bracket(host).startsWith('[') ? bracket(host) : `[${host}]`
}
