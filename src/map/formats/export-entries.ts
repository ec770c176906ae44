/** What exports have in common: users with both routes, addresses of bare names, verdicts. */
import type { Verdict } from '../../mail/route.ts'
import { isQueryKey, isWide, nameOf } from '../key.ts'
import { queryReader } from '../../mail/query-key.ts'
import { writeKey } from '../sources/line-grammar.ts'
import type { Entry } from '../place.ts'
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

export interface ExportedLogin {
  /** As a client types it. */
  readonly name: string
  readonly backend: string
  /** The name there. */
  readonly login: string
  readonly isRenamed: boolean
}

/** What stands for a name of every domain in a form of exact logins. */
export type LoginNames = 'addresses' | 'name and addresses'

/**
 * Logins that the sources name, each once, with the back-end that resolution gives: another source
 * than that of the line, or another line, may decide. What is no login is counted in a note.
 */
export function* exportedLogins(
  map: ExportedMap,
  names: LoginNames,
): Generator<ExportedLogin | Note, void, undefined> {
  let [others, first] = [0, '']
  const namedBy = nameReader(map)
  // Several keys of popmap may name one login.
  const told = map.queryKeys.length > 0 ? new Set<string>() : undefined
  for (const { key, source } of map.records()) {
    const { delivery, retrieval } = map.find(key) ?? {}
    if (source === 'popmap' && delivery !== undefined) continue
    const name = isQueryKey(key) ? namedBy(key) : nameOf(key)
    if (name === undefined) {
      yield notCarried(nameOf(key), 'its key is that of no single name')
      continue
    }
    const isLogin = source !== 'aliases' && 'backend' in (retrieval ?? delivery ?? {})
    if (!isLogin && others++ === 0) first = name
    if (source === 'aliases') continue
    if (isWide(name)) {
      yield notCarried(name, 'a line for many names has no form here')
      continue
    }
    for (const typed of loginNames(map, name, names)) {
      if (told?.has(typed) === true) continue
      told?.add(typed)
      const login = exportedLogin(map, typed)
      if (login !== undefined) yield login
    }
  }
  if (others === 0) return
  const about = others === 1 ? first : `${first} and ${others - 1} more`
  yield notCarried(about, 'aliases, forwards and refusals of mail are no logins')
}

/** The name that a key of popmap stands for where it is no address; undefined where for many or none. */
function nameReader({ config, queryKeys }: ExportedMap): (key: string) => string | undefined {
  const read = queryReader(queryKeys, config.naming)
  return (key) => {
    const { user, domain } = read(nameOf(key)) ?? {}
    if (user === undefined) return undefined
    return domain === undefined ? user : `${user}@${domain}`
  }
}

function* loginNames(
  map: ExportedMap,
  name: string,
  names: LoginNames,
): Generator<string, void, undefined> {
  if (!name.includes('@') && names === 'name and addresses') yield name
  yield* addressesOfName(map, name, hasLine)
}

function hasLine({ delivery, retrieval }: Entry): boolean {
  return delivery !== undefined || retrieval !== undefined
}

/** Undefined where nobody can log in. */
function exportedLogin(map: ExportedMap, name: string): ExportedLogin | Note | undefined {
  const found = map.login(name)
  switch (found?.result) {
    case undefined:
      return notCarried(name, 'no client can log in by this name')
    case 'route': {
      const { backend, login } = found.destination
      return { name, backend, login, isRenamed: login !== found.user }
    }
    case 'error':
      return notCarried(name, found.reason)
    case 'defer':
      return notCarried(name, 'a deferral has no form here')
    default:
      return undefined
  }
}

/** Users that the sources name, each once. */
export function* exportedUsers(map: ExportedMap): Generator<ExportedUser, void, undefined> {
  for (const { key, source } of map.records()) {
    // Such a key is of logins alone.
    if (source === 'aliases' || isQueryKey(key)) continue
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

/** The addresses that a name stands for: of one without a domain, those without a line of their own. */
export function addressesOfName(
  { config, find }: ExportedMap,
  name: string,
  hasLine: (entry: Entry) => boolean,
): string[] {
  if (name.includes('@')) return [name]
  const addresses = [...config.naming.domains].map((domain) => `${name}@${domain}`)
  return addresses.filter((address) => {
    const entry = find(address)
    return entry === undefined || !hasLine(entry)
  })
}

export function hasTargets({ targets }: Entry): boolean {
  return targets !== undefined
}

export function hasDelivery({ delivery }: Entry): boolean {
  return delivery !== undefined
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
