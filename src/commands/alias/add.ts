import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { addAlias } from '../../map/edit/change-alias.ts'
import type { ChangeReport } from '../../map/edit/change-user.ts'

export default class AliasAdd extends MailmuxCommand {
  static override summary = 'Add an alias, or targets to one that is there.'
  static override description =
    'In aliases and in the map of running daemons, durable in both when it returns. A name ' +
    'without a domain is one of every domain, as in the file.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> info ann bob@example.com',
    '<%= config.bin %> <%= command.id %> sales@example.net ann',
  ]
  static override args = {
    alias: Args.string({ required: true, description: 'name, or name@domain' }),
    target: Args.string({ required: true, multiple: true, description: 'name, or name@domain' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(AliasAdd)
    const config = await this.loadConfig(flags)
    const report = await addAlias(config, { name: args.alias, targets: args.target })
    this.reportChange(report, 'has these targets already')
    return report
  }
}
