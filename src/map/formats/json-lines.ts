/**
 * mailmux's own interchange form: one JSON object a line, users in the order of the sources, then
 * aliases, expressions and rules. Nothing of a map is lost in it.
 */
import { isQueryKey, nameOf } from '../key.ts'
import { wildcardOf } from '../rule.ts'
import { writeKey } from '../sources/line-grammar.ts'
import { describeValue, type Value } from '../value.ts'
import { exportedAliases, exportedUsers, verdictText } from './export-entries.ts'
import type { Fact } from './fact.ts'
import { type JsonObject, jsonObjects } from './json-objects.ts'
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

/** Fields by what an object is about; those with `[]` are lists of texts. */
const grammar: Readonly<Record<string, readonly string[]>> = {
  user: ['value', 'retrieval', 'backend', 'login', 'aliases[]'],
  alias: ['targets[]'],
  expression: ['backend', 'login'],
  rule: [],
}

/** The fields of one object that are as they should be. */
interface Fields {
  readonly kind: string
  readonly name: string
  readonly texts: ReadonlyMap<string, string>
  readonly lists: ReadonlyMap<string, readonly string[]>
}

function parse(input: ParseInput): Findings {
  const found = new Findings()
  for (const { value, at } of jsonObjects(input, found)) {
    const kind = Object.keys(grammar).find((name) => name in value) ?? ''
    const name = value[kind]
    if (typeof name !== 'string') {
      const text = JSON.stringify(value)
      found.note({ text, at }, 'it is no user, alias, expression or rule')
      continue
    }
    const line = { text: name, at }
    const { fields, faults } = readFields(kind, name, value)
    if (faults.length > 0) found.note(line, faults.join('; '))
    const facts = factsOf(fields).map((fact) => ({ ...fact, at }))
    found.facts.push(...facts)
    if (facts.length === 0) found.note(line, `it says nothing of this ${kind}`)
  }
  return found
}

function readFields(
  kind: string,
  name: string,
  object: JsonObject,
): { fields: Fields; faults: readonly string[] } {
  const texts = new Map<string, string>()
  const lists = new Map<string, string[]>()
  const faults: string[] = []
  for (const [field, value] of Object.entries(object)) {
    if (field === kind) continue
    const isList = Array.isArray(value) && value.every((one) => typeof one === 'string')
    if (grammar[kind]?.includes(`${field}[]`) === true) {
      if (isList) lists.set(field, value)
      else faults.push(`${field} is no list of texts`)
    } else if (grammar[kind]?.includes(field) !== true) faults.push(`${field} has no counterpart`)
    else if (typeof value === 'string') texts.set(field, value)
    else faults.push(`${field} is no text`)
  }
  return { fields: { kind, name, texts, lists }, faults }
}

type NewFact = Fact extends infer One ? (One extends Fact ? Omit<One, 'at'> : never) : never

function factsOf({ kind, name, texts, lists }: Fields): NewFact[] {
  if (kind === 'user') return userFacts(name, texts, lists.get('aliases') ?? [])
  if (kind === 'rule') return [{ kind: 'line', source: 'rules', text: name }]
  if (kind === 'alias') {
    const targets = lists.get('targets') ?? []
    return targets.length === 0 ? [] : [{ kind: 'alias', name, targets }]
  }
  const backend = texts.get('backend')
  if (backend === undefined) return []
  const login = texts.get('login')
  const value = login === undefined ? backend : `${login}@${backend}`
  return [{ kind: 'line', source: 'popmap.re', text: `${name}:\t${value}` }]
}

function userFacts(
  key: string,
  texts: ReadonlyMap<string, string>,
  aliases: readonly string[],
): NewFact[] {
  const [value, retrieval] = [texts.get('value'), texts.get('retrieval')]
  const server = readServer(texts.get('backend') ?? '')
  const login = texts.get('login')
  const facts: NewFact[] = []
  if (value !== undefined) facts.push({ kind: 'word', source: 'user_map', key, value })
  else if (server !== undefined) {
    const named = login === undefined || login === key ? {} : { login }
    facts.push({ kind: 'user', key, side: 'both', to: { kind: 'server', server, ...named } })
  }
  if (retrieval !== undefined) facts.push({ kind: 'word', source: 'popmap', key, value: retrieval })
  for (const name of aliases) facts.push({ kind: 'alias', name, targets: [writeKey(key)] })
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
  for (const record of map.records()) {
    if (record.source !== 'popmap' || !isQueryKey(record.key)) continue
    yield JSON.stringify({ user: nameOf(record.key), retrieval: describeValue(record.value) })
  }
  for (const { name, targets } of exportedAliases(map)) {
    yield JSON.stringify({ alias: name, targets })
  }
  for (const pattern of map.patterns) {
    const { backend, login } = pattern
    yield JSON.stringify({
      expression: wildcardOf(pattern) ?? pattern.pattern,
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
