/** What of the config holds until the daemon is started anew. */
import { MailmuxError } from '../base/error.ts'
import { needsQueue, type Settings } from './settings.ts'

/** Keys by their names in the file and here. */
const restartKeys = [
  ['run_dir', 'runDir'],
  ['user', 'user'],
  ['group', 'group'],
] as const

/** With a spool, where that is: messages that were accepted would be left behind. */
const spoolKeys = [...restartKeys, ['state_dir', 'stateDir']] as const

/** Refusals of what the config changes and a reload cannot. */
export function refuseRestartKeys(config: Settings['config'], inForce: Settings): MailmuxError[] {
  const keys = needsQueue(inForce) ? spoolKeys : restartKeys
  return keys
    .filter(([, field]) => config[field] !== inForce.config[field])
    .map(([key]) => {
      const text = `${config.file}: ${key}: is read when the daemon is started, and cannot be changed before`
      return new MailmuxError('CONFIG_INVALID', text)
    })
}
