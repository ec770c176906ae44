/** Changes of back-ends: in mailmux.yaml, under the lock and in the history of the map. */
import { MailmuxError } from '../../base/error.ts'
import { formatProblem } from '../../base/problem.ts'
import type { Config } from '../../config/config.ts'
import type { ConfigEdit, TextEdit } from '../../config/edit-backends.ts'
import { realDisk } from '../../storage/disk.ts'
import { usesOf } from '../backend-use.ts'
import { checkMap } from '../check-map.ts'
import type { TracingReader } from '../open.ts'
import { MapProblems } from '../problems.ts'
import { applyChange } from '../state/apply-change.ts'
import { planSplices, type SourceEdit } from '../state/source-edit.ts'
import type { ChangeReport } from './change-user.ts'

export interface ConfigChange {
  /** The back-end that it is about. */
  readonly key: string
  readonly description: string
  edit(text: string): ConfigEdit
  /** Throws where the map does not allow it. */
  check?(map: TracingReader): void
}

/**
 * Throws what `edit` and `check` throw, CHANGE_REFUSED where a build would no longer take the
 * sources, and what `applyChange` throws.
 */
export async function changeConfig(config: Config, change: ConfigChange): Promise<ChangeReport> {
  const warnings: string[] = []
  const plan = async (map: TracingReader) => {
    change.check?.(map)
    const content = await realDisk.read(config.file)
    const edit = change.edit(content.toString())
    const warning = await checkSources(config, edit.config)
    if (warning !== undefined) warnings.push(warning)
    const edits = [planTextEdit(config.file, content, edit)]
    return { description: change.description, edits, overrides: [] }
  }
  const warn = (text: string): void => void warnings.push(text)
  const generation = await applyChange(config, plan, { warn })
  return { key: change.key, ...(generation === undefined ? {} : { generation }), warnings }
}

/** `content`: what the file holds. */
export function planTextEdit(file: string, content: Buffer, edit: TextEdit): SourceEdit {
  const text = content.toString()
  const { at, remove, insert } = edit
  const splice = {
    at: Buffer.byteLength(text.slice(0, at)),
    removeBytes: Buffer.byteLength(text.slice(at, at + remove)),
    insert: Buffer.from(insert),
  }
  return planSplices(file, content, [splice])
}

/**
 * A host means a back-end once there is one with it, and no certain one where there are two. What
 * the sources say then differently is told; where they would be an error, the change is refused.
 */
async function checkSources(config: Config, edited: Config): Promise<string | undefined> {
  const after = await differenceOf(edited)
  if ('count' in after && after.count === 0) return undefined
  const before = await differenceOf(config)
  if ('problem' in after) {
    if ('count' in before) throw new MailmuxError('CHANGE_REFUSED', after.problem)
    return `no build takes the sources as they are: ${after.problem}`
  }
  if (!('count' in before) || after.count === before.count) return undefined
  return 'lines of the sources mean something else with it: see `mailmux build-map --check --diff`'
}

/** How many users and aliases the sources send elsewhere than the map in force does. */
async function differenceOf(
  config: Config,
): Promise<{ readonly count: number } | { readonly problem: string }> {
  try {
    const { rerouted, added, removed, aliases } = (await checkMap(config)).difference
    return { count: rerouted + added + removed + aliases }
  } catch (error) {
    if (!(error instanceof MapProblems)) throw error
    const [first] = error.problems
    return { problem: first === undefined ? error.message : formatProblem(first) }
  }
}

/** Refuses to take out a back-end that the map sends anybody to. Throws CHANGE_REFUSED. */
export function refuseUsedBackend(map: TracingReader, config: Config, backend: string): void {
  const { delivery, retrieval, users, rules, smarthost } = usesOf(map, config, backend)
  const count = delivery + retrieval
  const others = count - users.length
  const more = others > 0 ? ` and ${others} more line${others === 1 ? '' : 's'}` : ''
  const uses = [
    ...(smarthost ? ['it is the smarthost'] : []),
    ...rules.map((rule) => `rule ${rule}`),
    ...(count === 0 ? [] : [`${users.join(', ')}${more}`]),
  ]
  if (uses.length === 0) return
  throw new MailmuxError('CHANGE_REFUSED', `${backend} is in use: ${uses.join('; ')}`)
}
