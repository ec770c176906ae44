import { Args, Flags } from '@oclif/core'
import { counted } from '../../base/counted.ts'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { changeQueued } from '../../daemon/queue/queue-access.ts'
import type { QueueChange } from '../../mail/queued-message.ts'

export default class QueueRemove extends MailmuxCommand {
  static override summary = 'Remove queued messages: nobody gets them, and no sender is told.'
  static override examples = ['<%= config.bin %> <%= command.id %> 0mk0xjmo04cuja3u7 --yes']
  static override args = {
    id: Args.string({ required: true, multiple: true, description: 'from `queue list`' }),
  }
  static override flags = { yes: Flags.boolean({ summary: 'It is meant; needed.' }) }

  async run(): Promise<QueueChange> {
    const { args, flags } = await this.parse(QueueRemove)
    if (!flags.yes) throw new MailmuxError('USAGE', 'messages are lost for good: give --yes')
    const config = await this.loadConfig(flags)
    const change = await changeQueued(config, { do: 'remove', ids: args.id })
    this.log(`${counted(change.done.length, 'message is', 'messages are')} removed`)
    return change
  }
}
