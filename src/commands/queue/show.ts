import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { showQueued } from '../../daemon/queue/queue-access.ts'
import type { QueuedMessage } from '../../mail/queued-message.ts'
import { describeQueued } from '../../spool/describe-queued.ts'

export default class QueueShow extends MailmuxCommand {
  static override summary =
    'Print a queued message: its envelope, and what became of each recipient.'
  static override examples = ['<%= config.bin %> <%= command.id %> 0mk0xjmo04cuja3u7']
  static override args = { id: Args.string({ required: true, description: 'from `queue list`' }) }

  async run(): Promise<QueuedMessage | undefined> {
    const { args, flags } = await this.parse(QueueShow)
    const config = await this.loadConfig(flags)
    const [message] = await showQueued(config, [args.id])
    if (message !== undefined) for (const line of describeQueued(message)) this.log(line)
    return message
  }
}
