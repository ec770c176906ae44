import { counted } from '../base/counted.ts'
import { MailmuxCommand } from '../cli/base-command.ts'
import { parseWithinMs, withinFlag } from '../cli/within-flag.ts'
import { findRunDir } from '../config/run-dir.ts'
import { askDaemon } from '../control/client.ts'
import type { RestartReport } from '../control/session-messages.ts'

/** Two processes start one after the other, and a very large map is opened. */
const patienceMs = 180_000

export default class Restart extends MailmuxCommand {
  static override summary = 'Put new workers in the place of those that run.'
  static override description =
    'They run the code that is installed now, and take all clients from the moment on when the last ' +
    'of them serves; nobody is refused meanwhile. Sessions go on in the old until they end or the ' +
    'time is over, and are told so then; those that hand over messages are asked to come again after ' +
    'half a minute. Settings stay what they are. Where a new worker does not serve, the old stay. The ' +
    'first process, which touches no client, goes on: a version that it does not understand is refused.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --within 8h',
  ]
  static override flags = { ...withinFlag }

  async run(): Promise<RestartReport> {
    const { flags } = await this.parse(Restart)
    const details = { within_ms: parseWithinMs(flags.within) }
    const runDir = await findRunDir(flags.config)
    const report = await askDaemon(runDir, 'restart', patienceMs, { details })
    const { workers, sessions } = report
    this.log(`${counted(workers, 'new worker')}, ${counted(sessions, 'session')} left in the old`)
    return report
  }
}
