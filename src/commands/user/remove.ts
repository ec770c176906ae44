import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { type ChangeReport, removeUser } from '../../map/edit/change-user.ts'

export default class UserRemove extends MailmuxCommand {
  static override summary = 'Remove a user, from user_map and popmap and from running daemons.'
  static override description =
    'The mailbox at the back-end stays. Refused where an alias would lead nowhere afterwards.'
  static override examples = ['<%= config.bin %> <%= command.id %> ann@example.com']
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
  }
  static override flags = {
    'every-domain': Flags.boolean({ summary: 'The name in every domain of ours.' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(UserRemove)
    const config = await this.loadConfig(flags)
    const report = await removeUser(config, args.user, flags['every-domain'])
    this.reportChange(report, 'was gone already')
    return report
  }
}
