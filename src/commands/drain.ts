import { Flags } from '@oclif/core'
import { counted } from '../base/counted.ts'
import { MailmuxCommand } from '../cli/base-command.ts'
import { parseWithinMs, withinFlag } from '../cli/within-flag.ts'
import { findRunDir } from '../config/run-dir.ts'
import { drainDaemon, sessionsLeft } from '../control/drain.ts'
import type { DrainReport } from '../control/session-messages.ts'

export default class Drain extends MailmuxCommand {
  static override summary = 'End the running daemon when its sessions have ended.'
  static override description =
    'No more clients are taken, and /readyz says so. Messages under way are finished, sessions that ' +
    'are joined to a back-end go on until they end or the time is over, and are told so then. Returns ' +
    'when the daemon has ended. A SIGTERM meanwhile ends it as at any time.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --within 2h --no-wait',
  ]
  static override flags = {
    ...withinFlag,
    wait: Flags.boolean({
      summary: 'Wait until the daemon has ended.',
      default: true,
      allowNo: true,
    }),
  }

  async run(): Promise<DrainReport> {
    const { flags } = await this.parse(Drain)
    const withinMs = parseWithinMs(flags.within)
    const runDir = await findRunDir(flags.config)
    const report = await drainDaemon(runDir, withinMs)
    if (!flags.wait) this.log(`draining, ${counted(report.sessions, 'session')} left`)
    else {
      for await (const left of sessionsLeft(runDir, report.pid)) {
        if (process.stderr.isTTY) this.tell(`${counted(left, 'session')} left`)
      }
      this.log('the daemon has ended')
    }
    return report
  }
}
