/** Changes of back-ends: in mailmux.yaml, under the lock and in the history of the map. */
import { MailmuxError } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { realDisk } from '../../storage/disk.ts'
import { usesOf } from '../backend-use.ts'
import type { TracingReader } from '../open.ts'
import { applyChange } from '../state/apply-change.ts'
import { planSplices } from '../state/source-edit.ts'
import type { ChangeReport } from './change-user.ts'

export interface ConfigChange {
  /** The back-end that it is about. */
  readonly key: string
  readonly description: string
  /** Characters of the config's text. */
  edit(text: string): { readonly at: number; readonly remove: number; readonly insert: string }
  /** Throws where the map does not allow it. */
  check?(map: TracingReader): void
}

/** Throws what `edit` and `check` throw, and what `applyChange` throws. */
export async function changeConfig(config: Config, change: ConfigChange): Promise<ChangeReport> {
  const warnings: string[] = []
  const plan = async (map: TracingReader) => {
    change.check?.(map)
    const content = await realDisk.read(config.file)
    const text = content.toString()
    const { at, remove, insert } = change.edit(text)
    const splice = {
      at: Buffer.byteLength(text.slice(0, at)),
      removeBytes: Buffer.byteLength(text.slice(at, at + remove)),
      insert: Buffer.from(insert),
    }
    const edits = [planSplices(config.file, content, [splice])]
    return { description: change.description, edits, overrides: [] }
  }
  const warn = (text: string): void => void warnings.push(text)
  const generation = await applyChange(config, plan, { warn })
  return { key: change.key, ...(generation === undefined ? {} : { generation }), warnings }
}

/** Refuses to take out a back-end that the map sends anybody to. Throws CHANGE_REFUSED. */
export function refuseUsedBackend(map: TracingReader, config: Config, backend: string): void {
  const { delivery, retrieval, users, rules, smarthost } = usesOf(map, config, backend)
  const count = delivery + retrieval
  const more = count > users.length ? ` and ${count - users.length} more lines` : ''
  const uses = [
    ...(smarthost ? ['it is the smarthost'] : []),
    ...rules.map((rule) => `rule ${rule}`),
    ...(count === 0 ? [] : [`${users.join(', ')}${more}`]),
  ]
  if (uses.length === 0) return
  throw new MailmuxError('CHANGE_REFUSED', `${backend} is in use: ${uses.join('; ')}`)
}
