/**
 * mailmux's own interchange form: one JSON object a line, users in the order of the sources, then
 * aliases, expressions and rules. Nothing of a map is lost in it.
 */
import { describeValue, type Value } from '../value.ts'
import { exportedAliases, exportedUsers, verdictText } from './export-entries.ts'
import type { Fact } from './fact.ts'
import { jsonObjects } from './json-objects.ts'
import {
  type ExportedMap,
  Findings,
  type MapFormat,
  type ParseInput,
  type Printed,
} from './map-format.ts'
import { readServer } from './server-text.ts'

export const jsonLines: MapFormat = {
  name: 'json-lines',
  summary: "mailmux's own: an object a line, nothing is lost",
  parse,
  print,
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const { value, at } of jsonObjects(input, found)) {
    const facts = factsOf(value).map((fact) => ({ ...fact, at }))
    found.facts.push(...facts)
    if (facts.length === 0) {
      found.note({ text: JSON.stringify(value), at }, 'it is no user, alias, expression or rule')
    }
  }
  return found
}

type NewFact = Fact extends infer One ? (One extends Fact ? Omit<One, 'at'> : never) : never

function factsOf(object: Readonly<Record<string, unknown>>): NewFact[] {
  const text = (name: string): string | undefined => {
    const value = object[name]
    return typeof value === 'string' && !/[\r\n]/.test(value) ? value : undefined
  }
  const list = (name: string): string[] | undefined => {
    const value = object[name]
    const isList = Array.isArray(value) && value.every((one) => typeof one === 'string')
    return isList ? value : undefined
  }
  const [user, alias, rule, pattern] = [
    text('user'),
    text('alias'),
    text('rule'),
    text('expression'),
  ]
  if (user !== undefined) return userFacts(user, text, list('aliases'))
  const targets = list('targets')
  if (alias !== undefined && targets !== undefined) return [{ kind: 'alias', name: alias, targets }]
  if (rule !== undefined) return [{ kind: 'line', source: 'rules', text: rule }]
  const backend = text('backend')
  if (pattern === undefined || backend === undefined) return []
  const login = text('login')
  const value = login === undefined ? backend : `${login}@${backend}`
  return [{ kind: 'line', source: 'popmap.re', text: `${pattern}:\t${value}` }]
}

function userFacts(
  user: string,
  text: (name: string) => string | undefined,
  aliases: readonly string[] | undefined,
): NewFact[] {
  const [value, retrieval, backend, login] = ['value', 'retrieval', 'backend', 'login'].map(text)
  const facts: NewFact[] = []
  if (value !== undefined) facts.push({ kind: 'word', source: 'user_map', key: user, value })
  else if (backend !== undefined) {
    const server = readServer(backend)
    const named = login === undefined || login === user ? {} : { login }
    if (server !== undefined) {
      facts.push({
        kind: 'user',
        key: user,
        side: 'both',
        to: { kind: 'server', server, ...named },
      })
    }
  }
  if (retrieval !== undefined) {
    facts.push({ kind: 'word', source: 'popmap', key: user, value: retrieval })
  }
  for (const name of aliases ?? []) facts.push({ kind: 'alias', name, targets: [user] })
  return facts
}

function* print(map: ExportedMap): Generator<Printed, void, undefined> {
  for (const { name, delivery } of exportedUsers(map)) {
    const key = name.includes('@') ? name : `${name}@`
    const { retrieval } = map.find(key) ?? {}
    yield JSON.stringify({
      user: name,
      ...(delivery === undefined ? {} : { value: wordOf(delivery) }),
      ...(retrieval === undefined ? {} : { retrieval: describeValue(retrieval) }),
      ...(delivery !== undefined && 'backend' in delivery ? { backend: delivery.backend } : {}),
      ...(delivery?.kind === 'rename' ? { login: delivery.login } : {}),
    })
  }
  for (const { name, targets } of exportedAliases(map)) {
    yield JSON.stringify({ alias: name, targets })
  }
  for (const { pattern, backend, login } of map.patterns) {
    yield JSON.stringify({
      expression: pattern,
      backend,
      ...(login === undefined ? {} : { login }),
    })
  }
  for (const { text } of map.rules) yield JSON.stringify({ rule: text })
}

/** As user_map has it. */
function wordOf(value: Value): string {
  if (value.kind === 'reject') return `error:${verdictText(value)}`
  return value.kind === 'defer' ? `defer:${verdictText(value)}` : describeValue(value)
}
