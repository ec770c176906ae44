/**
 * Adds a back-end to the text of mailmux.yaml, takes one out, or sets its state, and leaves every
 * other byte as it is. The result is read back: it must be what was there, with this one difference.
 */
import { isDeepStrictEqual } from 'node:util'
import { isMap, isPair, isScalar, parseDocument, type Pair, stringify, type YAMLMap } from 'yaml'
import { MailmuxError } from '../base/error.ts'
import { formatProblem } from '../base/problem.ts'
import type { BackendConfig, Config } from './config.ts'
import { parseConfig } from './parse.ts'

/** Keys of a back-end as the file has them. */
export type BackendSettings = Readonly<Record<string, string | number>>

/** What to put in the place of which characters. */
export interface TextEdit {
  readonly at: number
  readonly remove: number
  readonly insert: string
}

/** An edit, and the config that it makes. */
export interface ConfigEdit extends TextEdit {
  readonly config: Config
}

interface Located {
  readonly text: string
  readonly file: string
  readonly backends: YAMLMap
}

/** Throws CHANGE_REFUSED where the name is taken or the text would be no good config. */
export function insertBackend(
  text: string,
  file: string,
  [name, settings]: readonly [string, BackendSettings],
): ConfigEdit {
  const located = locate(text, file)
  if (located.backends.has(name)) refuse(`${file}: backends.${name} is there already`)
  const flow = stringify(settings, { collectionStyle: 'flow', lineWidth: 0 }).trim()
  const written = `${stringify(name).trim()}: ${flow.replace(/^\{ (.*) \}$/s, '{$1}')}`
  const edit = insertion(text, located.backends, written)
  const wanted = backendsOf(text)
  wanted[name] = settings
  return verified(located, edit, wanted)
}

/** Throws BACKEND_UNKNOWN, and CHANGE_REFUSED where the text would be no good config. */
export function removeBackend(text: string, file: string, name: string): ConfigEdit {
  const located = locate(text, file)
  const { items } = located.backends
  const index = items.findIndex((item) => keyOf(item) === name)
  if (index === -1) throw new MailmuxError('BACKEND_UNKNOWN', `${file}: backends has no ${name}`)
  if (items.length === 1) refuse('it is the only back-end')
  const { [name]: _, ...wanted } = backendsOf(text)
  return verified(located, removal(text, located.backends, index), wanted)
}

/**
 * Undefined where the back-end has that state. Throws BACKEND_UNKNOWN, and CHANGE_REFUSED where its
 * settings are written in a way that cannot be edited.
 */
export function setBackendState(
  text: string,
  file: string,
  [name, state]: readonly [string, BackendConfig['state']],
): ConfigEdit | undefined {
  const located = locate(text, file)
  if (!located.backends.has(name)) {
    throw new MailmuxError('BACKEND_UNKNOWN', `${file}: backends has no ${name}`)
  }
  const settings = located.backends.get(name, true)
  if (!isMap(settings)) return refuse(`${file}: backends.${name} cannot be edited: do it by hand`)
  const wanted = backendsOf(text)
  const { state: before, ...others } = wanted[name] as { readonly state?: unknown }
  if ((before ?? 'online') === state) return undefined
  // online goes without saying.
  wanted[name] = state === 'online' ? others : { ...others, state }
  return verified(located, stateEdit(text, settings, state), wanted)
}

function stateEdit(text: string, settings: YAMLMap, state: BackendConfig['state']): TextEdit {
  const index = settings.items.findIndex((item) => keyOf(item) === 'state')
  if (index === -1) return insertion(text, settings, `state: ${state}`)
  if (state === 'online') return removal(text, settings, index)
  const value = settings.items[index]?.value as { range?: readonly number[] } | null | undefined
  const [at = 0, end = at] = value?.range ?? []
  return { at, remove: end - at, insert: state }
}

function refuse(text: string): never {
  throw new MailmuxError('CHANGE_REFUSED', text)
}

function locate(text: string, file: string): Located {
  const backends = parseDocument(text).getIn(['backends'], true)
  if (!isMap(backends)) return refuse(`${file}: backends is no list of back-ends: edit it by hand`)
  return { text, file, backends }
}

function backendsOf(text: string): Record<string, unknown> {
  const { backends = {} } = parseDocument(text).toJS() as { backends?: Record<string, unknown> }
  return { ...backends }
}

function keyOf(item: unknown): unknown {
  return isPair(item) && isScalar(item.key) ? item.key.value : undefined
}

function startOf(pair: Pair | undefined): number {
  const { key } = pair ?? {}
  return isScalar(key) ? (key.range?.[0] ?? 0) : 0
}

/** Where the value of a pair ends, without the comment after it. */
function endOf(pair: Pair | undefined): number {
  const node = (pair?.value ?? pair?.key) as { range?: readonly number[] } | null | undefined
  return node?.range?.[1] ?? 0
}

/** `written`: a pair, to stand after the others in the form that they have. */
function insertion(text: string, map: YAMLMap, written: string): TextEdit {
  const last = map.items.at(-1)
  if (map.flow === true) {
    const at = last === undefined ? (map.range?.[0] ?? 0) + 1 : endOf(last)
    return { at, remove: 0, insert: last === undefined ? written : `, ${written}` }
  }
  const start = startOf(last)
  const indent = text.slice(text.lastIndexOf('\n', start - 1) + 1, start)
  const lineEnd = text.includes('\r\n') ? '\r\n' : '\n'
  const end = text.indexOf('\n', endOf(last) - 1)
  const at = end === -1 ? text.length : end + 1
  const before = end === -1 ? lineEnd : ''
  return { at, remove: 0, insert: `${before}${indent}${written}${lineEnd}` }
}

function removal(text: string, { items, flow }: YAMLMap, index: number): TextEdit {
  const [pair, next] = [items[index], items[index + 1]]
  if (flow === true) {
    const at = next === undefined ? endOf(items[index - 1]) : startOf(pair)
    const end = next === undefined ? endOf(pair) : startOf(next)
    return { at, remove: end - at, insert: '' }
  }
  const at = text.lastIndexOf('\n', startOf(pair) - 1) + 1
  // The end of a block value may be past the end of its last line.
  const lastByte = endOf(pair) - 1
  const found = text[lastByte] === '\n' ? lastByte : text.indexOf('\n', lastByte)
  const end = found === -1 ? text.length : found + 1
  return { at, remove: end - at, insert: '' }
}

function verified(
  { text, file }: Located,
  edit: TextEdit,
  wanted: Readonly<Record<string, unknown>>,
): ConfigEdit {
  const edited = text.slice(0, edit.at) + edit.insert + text.slice(edit.at + edit.remove)
  const parsed = parseConfig(edited, file)
  if ('problems' in parsed) return refuse(parsed.problems.map(formatProblem).join('\n'))
  const before = parseDocument(text).toJS() as object
  if (!isDeepStrictEqual(parseDocument(edited).toJS(), { ...before, backends: wanted })) {
    refuse(`${file}: backends is written in a way that cannot be edited: do it by hand`)
  }
  return { ...edit, config: parsed.config }
}
