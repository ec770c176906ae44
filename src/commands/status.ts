import { MailmuxCommand } from '../cli/base-command.ts'
import { style } from '../cli/style.ts'
import { formatTable } from '../cli/table.ts'
import { findRunDir } from '../config/run-dir.ts'
import { askDaemon } from '../control/client.ts'
import type { StatusReport } from '../control/messages.ts'
import { statusHeadlines, statusTables } from '../control/status-table.ts'

const patienceMs = 10_000

export default class Status extends MailmuxCommand {
  static override summary = 'Show what the running daemon does.'
  static override description =
    'Sessions, logins and messages by service, clients refused, back-ends and whether they answer, ' +
    'and workers where one was replaced. OK, LATER and FAILED count since the start of the daemon: ' +
    'logins that worked, met a back-end in trouble, were refused; messages answered 2xx, 4xx, 5xx.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  async run(): Promise<StatusReport> {
    const { flags } = await this.parse(Status)
    const report = await askDaemon(await findRunDir(flags.config), 'status', patienceMs)
    for (const line of statusHeadlines(report)) this.log(line)
    for (const { columns, rows } of statusTables(report)) {
      const [titles = '', ...lines] = formatTable(
        columns,
        rows.map(({ cells }) => cells),
      )
      this.log(`\n${style.dim(titles)}`)
      for (const [index, line] of lines.entries()) {
        this.log(line)
        for (const note of rows[index]?.notes ?? []) this.log(style.dim(`    ${note}`))
      }
    }
    return report
  }
}
