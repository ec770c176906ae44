/** Adding, changing and removing one user: in the text sources and in the map in force. */
import { MailmuxError } from '../../base/error.ts'
import { formatPosition, type Position } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import { BackendTable } from '../backend-table.ts'
import { addressesOf, nameOf, parseKey } from '../key.ts'
import type { TracingReader } from '../open.ts'
import { type Entry, findByQuery } from '../place.ts'
import { writeKey } from '../sources/line-grammar.ts'
import type { ParsedValue } from '../sources/parse-value.ts'
import { applyChange, type PlannedChange } from '../state/apply-change.ts'
import type { KnownSources } from '../state/known-sources.ts'
import type { SourceEdit } from '../state/source-edit.ts'
import type { Override } from '../state/state.ts'
import { describeValue, type Value } from '../value.ts'
import { refuseBreaking } from './candidate.ts'
import { findKey, type KeyedSource, planLine, planValue, planWithout } from './keyed-edit.ts'
import { positionOfEnd } from './position-of-end.ts'
import { endOfSource, isToBeSearched, readSource, refuseOwned } from './source-files.ts'

export interface ChangeReport {
  /** The canonical key: `local@domain`, or `local` for every domain. */
  readonly key: string
  /** Of the change; absent where all was so already. */
  readonly generation?: number
  /** Where a new user lives, where that was chosen. */
  readonly backend?: string
  readonly warnings: readonly string[]
}

export interface UserRequest {
  readonly name: string
  /** In every domain of ours, not only in one. */
  readonly everyDomain: boolean
  /** The word for user_map. */
  readonly value: string
  /** The word for popmap, where logins go elsewhere than mail. */
  readonly retrieval: string | undefined
  readonly replace: boolean
}

export const sourceOf = { delivery: 'user_map', retrieval: 'popmap' } as const
type Side = keyof typeof sourceOf

/** The key that a command's argument means. Throws USAGE, CHANGE_REFUSED. */
export function keyOf(config: Config, name: string, everyDomain: boolean): string {
  const { naming } = config
  const isBare = !name.includes('@')
  if (everyDomain && !isBare) {
    throw new MailmuxError('USAGE', `${name} has a domain: leave it out, or --every-domain`)
  }
  const parsed = parseKey(isBare && !everyDomain ? `${name}@${naming.defaultDomain}` : name, naming)
  if ('refused' in parsed) {
    throw new MailmuxError('CHANGE_REFUSED', withHint(parsed.refused, parsed.hint))
  }
  if (naming.domains.has(parsed.address.domain)) return parsed.key
  const known = [...naming.domains].slice(0, 5).join(', ')
  const what = `${parsed.address.domain} is no domain of ours (${known})`
  throw new MailmuxError('CHANGE_REFUSED', what)
}

function withHint(text: string, hint: string | undefined): string {
  return hint === undefined ? text : `${text}: ${hint}`
}

export function warnTo(warnings: string[]) {
  return { warn: (text: string): void => void warnings.push(text) }
}

export function report(
  key: string,
  generation: number | undefined,
  warnings: string[],
): ChangeReport {
  return { key: nameOf(key), ...(generation === undefined ? {} : { generation }), warnings }
}

export function valueOf(
  config: Config,
  text: string,
  parse: (text: string, context: ValueContext) => ParsedValue,
  warnings: string[],
): Value {
  const parsed = parse(text.trim(), contextOf(config))
  if ('refused' in parsed) {
    throw new MailmuxError('CHANGE_REFUSED', withHint(parsed.refused, parsed.hint))
  }
  if (parsed.warning !== undefined) warnings.push(withHint(parsed.warning, parsed.hint))
  return parsed.value
}

type ValueContext = ReturnType<typeof contextOf>

/** What values and targets are read with. */
export function contextOf({ naming, backends, smarthost }: Config) {
  return { naming, smarthost, backends: new BackendTable(backends.values()) }
}

export interface Planning {
  readonly config: Config
  readonly map: TracingReader
  readonly known: KnownSources
  readonly key: string
  readonly warnings: string[]
}

export async function planUser(
  planning: Planning,
  values: Partial<Record<Side, Value>>,
  { replace, value, retrieval }: UserRequest,
): Promise<PlannedChange | undefined> {
  const { config, map, key, warnings } = planning
  if (retrieval !== undefined) refuseQueries(planning)
  const before = map.lookup.find(key)
  const words = { delivery: value.trim(), retrieval: retrieval?.trim() }
  const sides = (['delivery', 'retrieval'] as const).filter((side) => {
    const wanted = values[side]
    return wanted !== undefined && !isSame(before?.[side], wanted)
  })
  if (sides.length === 0) return undefined
  if (!replace) for (const side of sides) refuseExisting(planning, before, side)
  const entry: Entry = { ...none, ...before, ...values }
  refuseBreaking(map, new Map([[key, entry]]), config.naming)
  if (before?.targets !== undefined) {
    warnings.push(`the alias ${nameOf(key)} has the mail, not the user`)
  }
  const edits: SourceEdit[] = []
  const places: Partial<Record<'user_map' | 'popmap', Position>> = {}
  for (const side of sides) {
    const word = words[side]
    if (word === undefined) continue
    const made = await planSide(planning, side, before?.[side] !== undefined, word)
    edits.push(made.edit)
    if (made.at !== undefined) places[sourceOf[side]] = made.at
  }
  const description = `user ${replace ? 'change' : 'add'} ${nameOf(key)} ${value}`
  const kept = keptPlaces(planning, places)
  return { description, edits, overrides: [{ key, entry, places: kept }] }
}

const none: Entry = { targets: undefined, delivery: undefined, retrieval: undefined }

/** Where the lines of a key stand that a change leaves alone. */
export function keptPlaces(
  { map, key }: Pick<Planning, 'map' | 'key'>,
  made: Override['places'],
): Override['places'] {
  const places: Override['places'] = { ...made }
  for (const source of ['aliases', 'user_map', 'popmap'] as const) {
    const at = source in made ? undefined : map.place(key, source)
    if (at !== undefined) Object.assign(places, { [source]: at })
  }
  return places
}

export function isSame(one: Value | undefined, other: Value): boolean {
  return one !== undefined && JSON.stringify(one) === JSON.stringify(other)
}

function refuseExisting({ map, key }: Planning, before: Entry | undefined, side: Side): void {
  const value = before?.[side]
  if (value === undefined) return
  const at = map.place(key, sourceOf[side])
  const where = at === undefined ? '' : ` (${formatPosition(at)})`
  const what = `${nameOf(key)} is there already: ${describeValue(value)}${where}`
  throw new MailmuxError('USER_EXISTS', what)
}

export async function planSide(
  planning: Planning,
  side: Side,
  isThere: boolean,
  word: string,
): Promise<{ edit: SourceEdit; at: Position | undefined }> {
  const { config, key, known, map } = planning
  const source = sourceOf[side]
  if (isThere) refuseOwned(nameOf(key), map.place(key, source))
  if (isThere || (await isToBeSearched(config, source, known))) {
    for (const text of await readSource(config, source)) {
      const found = findKey(text, key, config.naming)
      if (found.length === 0) continue
      if (!isThere) refuseUnbuilt(text, key, found[0]?.line.number ?? 1)
      const line = found[0]?.line.number ?? 1
      return { edit: planValue(text, found, word), at: { file: text.file, line, column: 1 } }
    }
  }
  const end = await endOfSource(config, source)
  return { edit: planLine(end, writeKey(nameOf(key)), word), at: await positionOfEnd(end, known) }
}

/** Written by hand since the build: nobody may change what was not looked at as a whole. */
function refuseUnbuilt({ file }: KeyedSource, key: string, line: number): never {
  const what = `${file}:${line}:1: ${nameOf(key)} is in the source, and not in the map yet`
  throw new MailmuxError('CHANGE_REFUSED', `${what}: run \`mailmux build-map\` first`)
}

/** Takes a user out of user_map and popmap. Throws USER_UNKNOWN, CHANGE_REFUSED. */
export async function removeUser(
  config: Config,
  name: string,
  everyDomain: boolean,
): Promise<ChangeReport> {
  const key = keyOf(config, name, everyDomain)
  const warnings: string[] = []
  const generation = await applyChange(
    config,
    (map, known) => planRemoval({ config, map, known, key, warnings }),
    warnTo(warnings),
  )
  return report(key, generation, warnings)
}

async function planRemoval(planning: Planning): Promise<PlannedChange> {
  const { config, map, key } = planning
  const before = map.lookup.find(key)
  if (before?.delivery === undefined && before?.retrieval === undefined) {
    throw new MailmuxError('USER_UNKNOWN', unknownUser(planning))
  }
  for (const address of addressesOf(key, config.naming)) {
    const scope = { naming: config.naming, lookup: map.lookup, trace: undefined }
    if (findByQuery(address, scope) !== undefined) refuseQueries(planning)
  }
  const entry = before.targets === undefined ? undefined : { ...none, targets: before.targets }
  refuseBreaking(map, new Map([[key, entry]]), config.naming)
  const edits: SourceEdit[] = []
  for (const source of ['user_map', 'popmap'] as const) {
    refuseOwned(nameOf(key), map.place(key, source))
    for (const text of await readSource(config, source)) {
      const lines = findKey(text, key, config.naming).map(({ line }) => line)
      if (lines.length > 0) edits.push(planWithout(text, lines))
    }
  }
  const at = entry && map.place(key, 'aliases')
  const places = at === undefined ? {} : { aliases: at }
  const description = `user remove ${nameOf(key)}`
  return { description, edits, overrides: [{ key, entry, places }] }
}

/** Which of several keys of popmap is meant, and who else it is for, a person must tell. */
function refuseQueries({ config, map, key }: Planning): void {
  if (map.lookup.queryKeys.length === 0) return
  const what = `${config.map.popmap ?? 'popmap'}: its keys are those of query_key`
  const hint = `edit it as ${nameOf(key)} needs, and run \`mailmux build-map\``
  throw new MailmuxError('CHANGE_REFUSED', `${what}: ${hint}`)
}

function unknownUser({ config, map, key }: Planning): string {
  const name = nameOf(key)
  const bare = `${key.slice(0, key.lastIndexOf('@'))}@`
  const at = bare === key ? undefined : map.place(bare, 'user_map')
  if (at !== undefined) {
    return `${name} has no line of its own; ${nameOf(bare)} is there for every domain (${formatPosition(at)}): --every-domain`
  }
  return config.map.rules === undefined
    ? `no source names ${name}`
    : `no source names ${name} (rules may route it: \`mailmux explain ${name}\`)`
}
