import { MailmuxCommand } from '../cli/base-command.ts'
import { findRunDir } from '../config/run-dir.ts'
import { askDaemon } from '../control/client.ts'
import type { ReloadReport } from '../control/messages.ts'

/** A large map is read twice, by the supervisor and by the workers. */
const patienceMs = 120_000

export default class Reload extends MailmuxCommand {
  static override summary = 'Make the running daemon take a new config and map.'
  static override description =
    'Sessions go on. Where anything is wrong with the new, all of it is said and the old stays ' +
    'in force as a whole.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<ReloadReport> {
    const { flags } = await this.parse(Reload)
    const report = await askDaemon(await findRunDir(flags.config), 'reload', patienceMs)
    const { generation, workers, listeners } = report
    this.log(`generation ${generation} is in force: ${workers} workers, ${listeners.join(', ')}`)
    return report
  }
}
