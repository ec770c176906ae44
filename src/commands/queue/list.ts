import { MailmuxCommand } from '../../cli/base-command.ts'
import { listQueue } from '../../daemon/queue-access.ts'
import { describeState } from '../../spool/describe-queued.ts'

export default class QueueList extends MailmuxCommand {
  static override summary = 'Print the messages that were accepted and are still owed to somebody.'
  static override description =
    'Oldest first, those that are kept aside last: id, how many recipients wait, size, when it came, ' +
    'when it is tried next, and why it waits. With --json an object a line.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  async run(): Promise<void> {
    const { flags } = await this.parse(QueueList)
    const config = await this.loadConfig(flags)
    let count = 0
    for await (const message of listQueue(config)) {
      count++
      if (this.jsonEnabled()) {
        await this.printLine(JSON.stringify(message))
        continue
      }
      const { id, size, arrived = '-', next = 'now', recipients, state } = message
      const owed = recipients.filter(({ result }) => result === 'owed').length
      const when = state === 'waiting' ? next : '-'
      const columns = [id, `${owed} owed`, `${size} bytes`, arrived, when, describeState(message)]
      await this.printLine(columns.join('\t'))
    }
    if (count === 0 && !this.jsonEnabled()) await this.printLine('the queue is empty')
    await this.flushLines()
  }
}
