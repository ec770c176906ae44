/** What two maps say that is of no single key: rules, patterns, domains, back-ends, the smarthost. */
import type { Database } from './database/database.ts'
import type { Meta } from './database/meta.ts'
import { type PatternSource, type RuleSource, wildcardOf } from './rule.ts'

export interface SettingChange {
  readonly kind: 'rule' | 'pattern' | 'query_key' | 'domain' | 'backend' | 'smarthost'
  /** `moved`: of rules and patterns, where the first match wins. */
  readonly change: 'added' | 'removed' | 'moved'
  readonly text: string
}

export function compareSettings(older: Database, newer: Database): SettingChange[] {
  const [before, after] = [older.meta, newer.meta]
  return [
    ...compareOrdered('rule', before.rules.map(ruleText), after.rules.map(ruleText)),
    ...compareOrdered('pattern', before.patterns.map(patternText), after.patterns.map(patternText)),
    ...compareOrdered('query_key', queryTexts(before), queryTexts(after)),
    ...compareSets('domain', before.domains, after.domains),
    ...compareSets('backend', before.backends.map(backendText), after.backends.map(backendText)),
    ...compareSets('smarthost', [before.smarthost ?? []].flat(), [after.smarthost ?? []].flat()),
  ]
}

/** Blanks between the words of a line mean nothing. */
function ruleText({ text }: RuleSource): string {
  return text.replace(/\s+/g, ' ').trim()
}

function patternText(pattern: PatternSource): string {
  const { backend, login } = pattern
  const text = wildcardOf(pattern) ?? pattern.text
  return `${text.replace(/\s+/g, ' ').trim()} → ${login === undefined ? '' : `${login}@`}${backend}`
}

function queryTexts({ queryKeys = [] }: Meta): string[] {
  return queryKeys.map(({ template }) => template)
}

function backendText({ name, host }: Meta['backends'][number]): string {
  return `${name} (${host})`
}

function compareSets(
  kind: SettingChange['kind'],
  before: readonly string[],
  after: readonly string[],
): SettingChange[] {
  const [older, newer] = [new Set(before), new Set(after)]
  return [
    ...[...older.difference(newer)].map((text) => ({ kind, change: 'removed', text }) as const),
    ...[...newer.difference(older)].map((text) => ({ kind, change: 'added', text }) as const),
  ]
}

/** The order counts: of what both have, all that does not stand in the same order has moved. */
function compareOrdered(
  kind: 'rule' | 'pattern' | 'query_key',
  before: readonly string[],
  after: readonly string[],
): SettingChange[] {
  const changes = compareSets(kind, before, after)
  const [older, newer] = [new Set(before), new Set(after)]
  const kept = [...older].filter((text) => newer.has(text))
  const moved = [...newer].filter((text) => older.has(text))
  return [
    ...changes,
    ...moved
      .filter((text, index) => text !== kept[index])
      .map((text) => ({ kind, change: 'moved', text }) as const),
  ]
}
