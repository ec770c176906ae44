/** Adding and removing an alias or some of its targets: in the text sources and in the map in force. */
import { nameOf } from '../key.ts'
import { MailmuxError } from '../../base/error.ts'
import { formatPosition } from '../../base/position.ts'
import type { Config } from '../../config/config.ts'
import { isCatchAll } from '../key.ts'
import type { TracingReader } from '../open.ts'
import type { Entry } from '../place.ts'
import { noAliasOfDomain } from '../sources/aliases.ts'
import { parseTarget } from '../sources/alias-targets.ts'
import { divideTargets, writeKey } from '../sources/line-grammar.ts'
import { applyChange, type PlannedChange } from '../state/apply-change.ts'
import type { KnownSources } from '../state/known-sources.ts'
import type { SourceEdit } from '../state/source-edit.ts'
import {
  type AliasSource,
  findAlias,
  type FoundAlias,
  planAlias,
  planTargets,
  planWithoutAlias,
  planWithoutTargets,
} from './alias-edit.ts'
import { refuseBreaking } from './candidate.ts'
import { type ChangeReport, contextOf, keptPlaces, keyOf } from './change-user.ts'
import { includedTargets } from './included-targets.ts'
import { positionOfEnd } from './position-of-end.ts'
import { endOfSource, readSource, refuseOwned } from './source-files.ts'

export interface AliasRequest {
  /** Without a domain: the name in every domain of ours, as aliases are written. */
  readonly name: string
  readonly targets: readonly string[]
}

interface Planning {
  readonly config: Config
  readonly map: TracingReader
  readonly known: KnownSources
  readonly key: string
  readonly warnings: string[]
}

/** Adds an alias, or targets to one that is there. Throws CHANGE_REFUSED and what `applyChange` throws. */
export function addAlias(config: Config, { name, targets }: AliasRequest): Promise<ChangeReport> {
  const words = targets.map((target) => ({ word: target, text: textOf(config, target) }))
  return change(config, name, (planning) => planAddition(planning, words))
}

/**
 * Removes targets from an alias; with none named, or none left, the alias. Throws ALIAS_UNKNOWN,
 * CHANGE_REFUSED and what `applyChange` throws.
 */
export function removeAlias(
  config: Config,
  { name, targets }: AliasRequest,
): Promise<ChangeReport> {
  const texts = targets.map((target) => textOf(config, target))
  return change(config, name, (planning) => planRemoval(planning, new Set(texts)))
}

async function change(
  config: Config,
  name: string,
  plan: (planning: Planning) => Promise<PlannedChange | undefined>,
): Promise<ChangeReport> {
  const key = keyOf(config, name, !name.includes('@'))
  if (isCatchAll(key)) throw new MailmuxError('CHANGE_REFUSED', noAliasOfDomain.join(': '))
  const warnings: string[] = []
  const generation = await applyChange(
    config,
    (map, known) => plan({ config, map, known, key, warnings }),
    {
      warn: (text) => void warnings.push(text),
    },
  )
  return { key: nameOf(key), ...(generation === undefined ? {} : { generation }), warnings }
}

/** A target as the map has it. */
function textOf(config: Config, word: string): string {
  // Beside others it must be what it is alone: a quote that is left open would take them too.
  const [token, second] = divideTargets(`${word}, other`, 1)
  // oxlint-disable-next-line no-control-regex -- a line end would begin another alias
  if (token?.text !== word || second?.text !== 'other' || /[\u0000-\u001f\u007f]/.test(word)) {
    throw new MailmuxError('CHANGE_REFUSED', `${JSON.stringify(word)} is not one target`)
  }
  const parsed = parseTarget(word, contextOf(config))
  if ('target' in parsed) return parsed.target
  const what =
    'include' in parsed ? 'files are included by hand' : `${parsed.refused}: ${parsed.hint}`
  throw new MailmuxError('CHANGE_REFUSED', what)
}

interface NewTarget {
  /** As it is to be written. */
  readonly word: string
  readonly text: string
}

async function planAddition(
  planning: Planning,
  targets: readonly NewTarget[],
): Promise<PlannedChange | undefined> {
  const { config, map, key, warnings } = planning
  const before = map.lookup.find(key)
  refuseOwned(`the alias ${nameOf(key)}`, map.place(key, 'aliases'))
  const known = new Set(before?.targets)
  const added = targets.filter(({ text }) => !known.has(text))
  if (added.length === 0) return undefined
  const all = [...new Set([...known, ...added.map(({ text }) => text)])]
  const entry = { ...none, ...before, targets: all }
  refuseBreaking(map, new Map([[key, entry]]), config.naming)
  if (before?.delivery !== undefined && before.targets === undefined) {
    warnings.push(`the alias takes the mail of the user ${nameOf(key)}`)
  }
  const words = added.map(({ word }) => word)
  const found = await findEverywhere(config, key)
  const [first] = found
  if (first === undefined && before?.targets !== undefined) refuseUnfound(planning)
  if (first !== undefined && before?.targets === undefined) {
    const line = first.found[0]?.lines[0]?.line.number ?? 1
    const where = formatPosition({ file: first.source.file, line, column: 1 })
    const what = `${where}: the alias is in the source, and not in the map yet`
    throw new MailmuxError('CHANGE_REFUSED', `${what}: run \`mailmux build-map\` first`)
  }
  const description = `alias add ${nameOf(key)} ${words.join(' ')}`
  if (first?.found[0] !== undefined) {
    const edit = planTargets(first.source, first.found[0], words)
    return planned(planning, { description, entry, edits: [edit] })
  }
  const end = await endOfSource(config, 'aliases')
  const at = await positionOfEnd(end, planning.known)
  const places = keptPlaces(planning, at === undefined ? {} : { aliases: at })
  const edits = [planAlias(end, writeKey(nameOf(key)), words)]
  return { description, edits, overrides: [{ key, entry, places }] }
}

const none: Entry = { targets: undefined, delivery: undefined, retrieval: undefined }

function planned(
  planning: Planning,
  made: {
    readonly description: string
    readonly entry: Entry | undefined
    readonly edits: readonly SourceEdit[]
  },
): PlannedChange {
  const { key } = planning
  const { description, entry, edits } = made
  const places = keptPlaces(planning, {})
  return { description, edits, overrides: [{ key, entry, places }] }
}

interface FoundIn {
  readonly source: AliasSource
  readonly found: readonly FoundAlias[]
}

async function findEverywhere(config: Config, key: string): Promise<FoundIn[]> {
  const texts = await readSource(config, 'aliases')
  return texts
    .map((source) => ({ source, found: findAlias(source, key, config.naming) }))
    .filter(({ found }) => found.length > 0)
}

function refuseUnfound({ map, key }: Planning): never {
  const at = map.place(key, 'aliases')
  const where = at === undefined ? '' : ` (it stood at ${formatPosition(at)})`
  const what = `the alias ${nameOf(key)} is no longer in its source${where}`
  throw new MailmuxError('CHANGE_REFUSED', `${what}: run \`mailmux build-map\` first`)
}

async function planRemoval(
  planning: Planning,
  gone: ReadonlySet<string>,
): Promise<PlannedChange | undefined> {
  const { config, map, key } = planning
  const before = map.lookup.find(key)
  if (before?.targets === undefined) {
    throw new MailmuxError('ALIAS_UNKNOWN', `there is no alias ${nameOf(key)}`)
  }
  refuseOwned(`the alias ${nameOf(key)}`, map.place(key, 'aliases'))
  const missing = [...gone].filter((text) => !before.targets?.includes(text))
  if (missing.length > 0 && missing.length === gone.size) return undefined
  const left = gone.size === 0 ? [] : before.targets.filter((text) => !gone.has(text))
  const rest = before.delivery === undefined && before.retrieval === undefined ? undefined : before
  const withoutAlias = rest && { ...rest, targets: undefined }
  const entry = left.length === 0 ? withoutAlias : { ...none, ...before, targets: left }
  refuseBreaking(map, new Map([[key, entry]]), config.naming)
  const everywhere = await findEverywhere(config, key)
  if (everywhere.length === 0) refuseUnfound(planning)
  const edits: SourceEdit[] = []
  for (const one of everywhere) {
    const isAll = left.length === 0
    const { source, found } = one
    edits.push(isAll ? planWithoutAlias(source, found) : await withoutTargets(config, one, gone))
  }
  const words = [...gone].map((text) => ` ${text}`).join('')
  const description = `alias remove ${nameOf(key)}${words}`
  return planned(planning, { description, entry, edits })
}

function isIncluded(word: string): boolean {
  return /^"?:include:/i.test(word)
}

async function withoutTargets(
  config: Config,
  { source, found }: FoundIn,
  gone: ReadonlySet<string>,
): Promise<SourceEdit> {
  const [alias, second] = found
  const refuse = (what: string): never => {
    const line = (second ?? alias)?.lines[0]?.line.number ?? 1
    throw new MailmuxError('CHANGE_REFUSED', `${source.file}:${line}:1: ${what}: edit it there`)
  }
  if (alias === undefined || second !== undefined) return refuse('the alias stands twice')
  const words = alias.lines.flatMap(({ tokens }) => tokens)
  const included = await includedTargets(source.file, words, contextOf(config))
  const kept = [...gone].find((text) => included.has(text))
  if (kept !== undefined) return refuse(`${kept} comes from an included file`)
  return planWithoutTargets(
    source,
    alias,
    ({ text }) => !isIncluded(text) && gone.has(textOf(config, text)),
  )
}
