import { MailmuxCommand } from '../cli/base-command.ts'
import { style } from '../cli/style.ts'
import { formatTable } from '../cli/table.ts'
import { findRunDir } from '../config/run-dir.ts'
import { askDaemon } from '../control/client.ts'
import type { StatusReport } from '../control/messages.ts'
import { statusHeadline, statusTables } from '../control/status-table.ts'

const patienceMs = 10_000

export default class Status extends MailmuxCommand {
  static override summary = 'Show what the running daemon does.'
  static override description =
    'Sessions, logins and messages by service, sessions and errors by back-end, and the workers. ' +
    'Counts are since the start of the daemon.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  async run(): Promise<StatusReport> {
    const { flags } = await this.parse(Status)
    const report = await askDaemon(await findRunDir(flags.config), 'status', patienceMs)
    this.log(statusHeadline(report))
    for (const { columns, rows } of statusTables(report)) {
      const [titles = '', ...lines] = formatTable(columns, rows)
      this.log(`\n${style.dim(titles)}`)
      for (const line of lines) this.log(line)
    }
    return report
  }
}
