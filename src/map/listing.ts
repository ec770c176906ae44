/** Users and aliases of a map, for lists and for a look at one of them. */
import { MailmuxError } from '../base/error.ts'
import type { Position } from '../base/position.ts'
import type { Config } from '../config/config.ts'
import { type Naming, parseAddress } from '../mail/address.ts'
import { queriesFor } from '../mail/query-key.ts'
import type { Direction } from '../mail/route.ts'
import { answerQuestion, describeAnswer, type LookupJson } from './answer.ts'
import { bareKey, detailKey, nameOf, parseKey, queryKey } from './key.ts'
import type { TracingReader } from './open.ts'
import type { SourceName } from './place.ts'
import { reachedBy } from './reached-by.ts'
import { describeValue, type Value } from './value.ts'

/** A line of `user list`. Values are in the words of the sources. */
export interface ListedUser {
  readonly user: string
  /** Absent where only logins are said. */
  readonly value?: string
  readonly backend?: string
  /** Where logins go, if popmap says so. */
  readonly retrieval?: string
  readonly at?: Position
}

export interface UserFilter {
  readonly backend?: string | undefined
  /** `*` and `?`. */
  readonly match?: string | undefined
}

/** Users that the sources name, one after the other. */
export function* listUsers(
  map: TracingReader,
  { backend, match }: UserFilter,
): Generator<ListedUser, void, undefined> {
  const wanted = match === undefined ? undefined : globOf(match)
  for (const { key, source, at, ...record } of map.records()) {
    if (source === 'aliases' || !('value' in record)) continue
    const { delivery, retrieval } = map.lookup.find(key) ?? {}
    // A key of both sources is one user.
    if (source === 'popmap' && delivery !== undefined) continue
    const user = nameOf(key)
    if (wanted !== undefined && !wanted.test(user)) continue
    if (backend !== undefined && ![delivery, retrieval].some((one) => isAt(one, backend))) continue
    yield {
      user,
      ...(delivery === undefined ? {} : { value: describeValue(delivery) }),
      ...(delivery !== undefined && 'backend' in delivery ? { backend: delivery.backend } : {}),
      ...(retrieval === undefined ? {} : { retrieval: describeValue(retrieval) }),
      ...(at === undefined ? {} : { at }),
    }
  }
}

function isAt(value: Value | undefined, backend: string): boolean {
  return value !== undefined && 'backend' in value && value.backend === backend
}

function globOf(glob: string): RegExp {
  const pattern = glob.replace(/[^\p{L}\p{N}]/gu, (character) => {
    if (character === '*') return '.*'
    if (character === '?') return '.'
    // Of what is no syntax, an escape would be wrong.
    return /[$()+./[\\\]^{|}]/.test(character) ? `\\${character}` : character
  })
  return new RegExp(`^${pattern}$`, 'iu')
}

/** A line of `alias list`. */
export interface ListedAlias {
  readonly alias: string
  readonly targets: readonly string[]
  readonly at?: Position
}

export function* listAliases(
  map: TracingReader,
  match?: string,
): Generator<ListedAlias, void, undefined> {
  const wanted = match === undefined ? undefined : globOf(match)
  for (const record of map.records()) {
    if (record.source !== 'aliases') continue
    const alias = nameOf(record.key)
    if (wanted !== undefined && !wanted.test(alias)) continue
    const { targets, at } = record
    yield { alias, targets, ...(at === undefined ? {} : { at }) }
  }
}

/** One line of a source about a user. */
export interface UserLine {
  readonly source: SourceName
  readonly key: string
  readonly value: string
  readonly at?: Position
  /** The generation of the change since the build that says so. */
  readonly changed?: number
}

export interface ShownUser {
  readonly user: string
  readonly delivery: LookupJson
  readonly retrieval: LookupJson
  readonly lines: readonly UserLine[]
  /** Aliases and forwards that lead to the user. */
  readonly aliases: readonly string[]
}

export interface DescribedUser extends ShownUser {
  /** For a person. */
  readonly routes: Readonly<Record<Direction, string>>
}

/** Throws USER_UNKNOWN where the text is no address of ours. */
export function showUser(map: TracingReader, config: Config, text: string): DescribedUser {
  const { naming } = config
  const address = parseAddress(text, naming)
  if (address === undefined || !naming.domains.has(address.domain)) {
    throw new MailmuxError('USER_UNKNOWN', `${text} is no address of ours`)
  }
  const answers = {
    delivery: answerQuestion({ text, direction: 'delivery' }, map, config),
    retrieval: answerQuestion({ text, direction: 'retrieval' }, map, config),
  }
  const keys = [
    ...(address.detail === undefined ? [] : [detailKey(address, naming)]),
    address.key,
    bareKey(address.user),
    ...queriesFor(map.lookup.queryKeys, address, naming).map(queryKey),
  ]
  return {
    user: address.key,
    delivery: answers.delivery.json,
    retrieval: answers.retrieval.json,
    lines: keys.flatMap((key) => linesOf(map, key)),
    aliases: reachedBy(map, address, naming),
    routes: {
      delivery: describeAnswer(answers.delivery),
      retrieval: describeAnswer(answers.retrieval),
    },
  }
}

function linesOf(map: TracingReader, key: string): UserLine[] {
  const { targets, delivery, retrieval } = map.lookup.find(key) ?? {}
  const changed = map.changedIn(key)
  const line = (source: SourceName, value: string): UserLine => {
    const at = map.place(key, source)
    return {
      source,
      key: nameOf(key),
      value,
      ...(at === undefined ? {} : { at }),
      ...(changed === undefined ? {} : { changed }),
    }
  }
  return [
    ...(targets === undefined ? [] : [line('aliases', targets.join(', '))]),
    ...(delivery === undefined ? [] : [line('user_map', describeValue(delivery))]),
    ...(retrieval === undefined ? [] : [line('popmap', describeValue(retrieval))]),
  ]
}

/** A name and what it leads to. */
export interface AliasTree {
  readonly name: string
  /** Where mail for it goes, unless it is an alias itself. */
  readonly route?: string
  readonly at?: Position
  readonly targets?: readonly AliasTree[]
}

/** Undefined where there is no such alias. `depth` bounds what is looked at. */
export function showAlias(
  map: TracingReader,
  config: Config,
  name: string,
  depth = 10,
): AliasTree | undefined {
  const key = aliasKey(map, name, config.naming)
  const targets = key === undefined ? undefined : map.lookup.find(key)?.targets
  if (key === undefined || targets === undefined) return undefined
  const at = map.place(key, 'aliases')
  return {
    name: nameOf(key),
    ...(at === undefined ? {} : { at }),
    targets: targets.map((target) => {
      // A member that is the alias itself keeps a copy with the user of that name.
      const isItself = target === nameOf(key)
      const inner = isItself || depth === 0 ? undefined : showAlias(map, config, target, depth - 1)
      if (inner !== undefined) return inner
      return {
        name: target,
        route: isItself ? 'the user of that name' : routeOf(map, config, target),
      }
    }),
  }
}

function routeOf(map: TracingReader, config: Config, target: string): string {
  const address = parseAddress(target, config.naming)
  if (address !== undefined && !config.naming.domains.has(address.domain)) {
    return `outside, by ${config.smarthost ?? 'nobody'}`
  }
  return describeAnswer(answerQuestion({ text: target, direction: 'delivery' }, map, config))
}

function aliasKey(map: TracingReader, name: string, naming: Naming): string | undefined {
  const own = parseKey(name, naming)
  const keys = 'key' in own ? [own.key, own.address.key, bareKey(own.address.user)] : []
  return keys.find((key) => map.lookup.find(key)?.targets !== undefined)
}

/** The tree as lines of text. */
export function drawTree({ name, route, at, targets }: AliasTree, indent = ''): string[] {
  const where = at === undefined ? '' : `  ${at.file}:${at.line}`
  const head = `${indent}${name}${route === undefined ? where : ` → ${route}`}`
  return [head, ...(targets ?? []).flatMap((target) => drawTree(target, `${indent}  `))]
}
