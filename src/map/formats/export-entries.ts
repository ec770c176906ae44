/** What exports have in common: users with both routes, addresses of bare names, verdicts. */
import type { Verdict } from '../../mail/route.ts'
import { nameOf } from '../edit/candidate.ts'
import { isWide } from '../key.ts'
import { writeKey } from '../sources/line-grammar.ts'
import type { Value } from '../value.ts'
import type { Note } from './fact.ts'
import type { ExportedMap } from './map-format.ts'

export interface ExportedUser {
  /** `name@domain`, or `name` for every domain. */
  readonly name: string
  readonly delivery: Value | undefined
  /** Where logins go: what popmap says, else where the mailbox is. */
  readonly retrieval: Value | undefined
}

/** Users that the sources name, each once, with a note for lines that stand for many names. */
export function* exportedLogins(map: ExportedMap): Generator<ExportedUser | Note, void, undefined> {
  for (const user of exportedUsers(map)) {
    if (isWide(user.name)) yield notCarried(user.name, 'a line for many names has no form here')
    else yield user
  }
}

/** Users that the sources name, each once. */
export function* exportedUsers(map: ExportedMap): Generator<ExportedUser, void, undefined> {
  for (const { key, source } of map.records()) {
    if (source === 'aliases') continue
    const { delivery, retrieval } = map.find(key) ?? {}
    if (source === 'popmap' && delivery !== undefined) continue
    yield { name: nameOf(key), delivery, retrieval: retrieval ?? delivery }
  }
}

export interface ExportedAlias {
  readonly name: string
  /** As aliases have them: in quotes where they would not be one word. */
  readonly targets: readonly string[]
}

export function* exportedAliases(map: ExportedMap): Generator<ExportedAlias, void, undefined> {
  for (const record of map.records()) {
    if (record.source !== 'aliases') continue
    yield { name: nameOf(record.key), targets: record.targets.map(writeKey) }
  }
}

/** The addresses that a name stands for. */
export function addressesOfName({ config }: ExportedMap, name: string): string[] {
  if (name.includes('@')) return [name]
  return [...config.naming.domains].map((domain) => `${name}@${domain}`)
}

/** A target of an alias with its domain. */
export function withDomain({ config }: ExportedMap, target: string): string {
  return target.includes('@') ? target : `${target}@${config.naming.defaultDomain}`
}

export function notCarried(about: string, reason: string): Note {
  return { about, reason }
}

/** Rules and expressions that a form has no place for. */
export function* notCarriedRules(
  map: ExportedMap,
  reason: string,
  isCarried: (text: string) => boolean = () => false,
): Generator<Note, void, undefined> {
  for (const { text, at } of [...map.rules, ...map.patterns]) {
    if (!isCarried(text)) yield { at, about: text, reason }
  }
}

/** `5.1.6:551 text` and the like, as makemap text has it. */
export function verdictText({ status, code, text }: Verdict): string {
  return `${status}:${code} ${text}`
}
