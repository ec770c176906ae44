import { Args, Flags } from '@oclif/core'
import { counted } from '../../base/counted.ts'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { changeQueued } from '../../daemon/queue/queue-access.ts'
import type { QueueChange } from '../../mail/queued-message.ts'

export default class QueueRetry extends MailmuxCommand {
  static override summary = 'Try queued messages now.'
  static override description =
    'A message that is kept aside goes back into the queue. Where no daemon runs, they are tried ' +
    'when one starts.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --all',
    '<%= config.bin %> <%= command.id %> 0mk0xjmo04cuja3u7',
  ]
  static override args = { id: Args.string({ multiple: true, description: 'from `queue list`' }) }
  static override flags = {
    all: Flags.boolean({ summary: 'All that wait; not those kept aside.' }),
  }

  async run(): Promise<QueueChange> {
    const { args, flags } = await this.parse(QueueRetry)
    const ids = args.id ?? []
    if (flags.all === ids.length > 0) {
      throw new MailmuxError('USAGE', 'name messages, or all with --all')
    }
    const config = await this.loadConfig(flags)
    const change = await changeQueued(config, { do: 'retry', ...(flags.all ? {} : { ids }) })
    this.log(`${counted(change.done.length, 'message is', 'messages are')} tried now`)
    return change
  }
}
