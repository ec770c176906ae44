/**
 * Draining a back-end: no command gives it new users any more. The map stays as it is, whatever rules
 * say: of a user whom a rule alone places, nobody can tell here whether there is mail already.
 */
import type { BackendConfig, Config } from '../../config/config.ts'
import type { ConfigEdit } from '../../config/edit-backends.ts'
import { realDisk } from '../../storage/disk.ts'
import { rulesTo, usersAt } from '../backend-use.ts'
import type { TracingReader } from '../open.ts'
import { applyChange, type PlannedChange } from '../state/apply-change.ts'
import { planTextEdit } from './change-config.ts'
import type { ChangeReport } from './change-user.ts'

export interface BackendStateReport extends ChangeReport {
  readonly state: BackendConfig['state']
  /** Users that the sources name there: one a line, `migrate --users` takes them. */
  readonly users: readonly string[]
  /** Rules that may send others there. */
  readonly rules: readonly string[]
}

const commands = { draining: 'drain', online: 'undrain' } as const

export interface StateChange {
  readonly backend: string
  readonly state: BackendConfig['state']
  /** Of the config's text; undefined where it says so already. */
  edit(text: string): ConfigEdit | undefined
}

/**
 * Sets it in mailmux.yaml, and tells who is there; no generation where it was so already. Throws
 * what `edit` and `applyChange` throw.
 */
export async function changeBackendState(
  config: Config,
  change: StateChange,
): Promise<BackendStateReport> {
  const { backend, state } = change
  const warnings: string[] = []
  let users: readonly string[] = []
  let rules: readonly string[] = []
  const plan = async (map: TracingReader): Promise<PlannedChange | undefined> => {
    users = [...usersAt(map, backend)]
    rules = rulesTo(map, backend)
    const content = await realDisk.read(config.file)
    const edit = change.edit(content.toString())
    if (edit === undefined) return undefined
    const others = [...edit.config.backends.values()].filter((one) => one.state === 'online')
    if (others.length === 0) warnings.push('no back-end takes new users any more')
    const description = `backend ${commands[state]} ${backend}`
    return { description, edits: [planTextEdit(config.file, content, edit)], overrides: [] }
  }
  const warn = (text: string): void => void warnings.push(text)
  const generation = await applyChange(config, plan, { warn })
  const made = generation === undefined ? {} : { generation }
  return { key: backend, ...made, warnings, state, users, rules }
}
