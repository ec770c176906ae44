/** Why a reload changed nothing: in the log, and for whoever asked for it. */
import { counted } from '../base/counted.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Log } from '../base/log.ts'

/** RELOAD_REFUSED with every problem; INTERNAL where it is a fault of ours. */
export function refuseReload(error: unknown, log: Log): MailmuxError {
  if (!(error instanceof MailmuxError)) {
    log('internal', { reason: 'reload', detail: messageOf(error) })
    return new MailmuxError('INTERNAL', messageOf(error), { cause: error })
  }
  const lines = error.located.split('\n')
  const problems = lines.length > 1 ? lines.slice(0, -1) : lines
  log('reload.refused', { reason: error.code, problems })
  const count = counted(problems.length, 'problem')
  const text = [...problems, `reload refused: ${count}`].join('\n')
  return new MailmuxError('RELOAD_REFUSED', text, { cause: error })
}
