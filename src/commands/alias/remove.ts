import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { removeAlias } from '../../map/edit/change-alias.ts'
import type { ChangeReport } from '../../map/edit/change-user.ts'

export default class AliasRemove extends MailmuxCommand {
  static override summary = 'Remove an alias, or some of its targets.'
  static override description =
    'From aliases and from the map of running daemons. Refused where another alias would lead ' +
    'nowhere afterwards.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> info',
    '<%= config.bin %> <%= command.id %> info bob@example.com',
  ]
  static override args = {
    alias: Args.string({ required: true, description: 'name, or name@domain' }),
    target: Args.string({ multiple: true, description: 'only these; all of it without them' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(AliasRemove)
    const config = await this.loadConfig(flags)
    const report = await removeAlias(config, { name: args.alias, targets: args.target ?? [] })
    this.reportChange(report, 'has none of these targets')
    return report
  }
}
