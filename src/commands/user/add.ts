import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { addUser } from '../../map/edit/add-user.ts'
import type { ChangeReport } from '../../map/edit/change-user.ts'

export default class UserAdd extends MailmuxCommand {
  static override summary = 'Add a user, in user_map and in the map of running daemons.'
  static override description =
    'Durable in both when it returns; daemons need no reload. A user that is there with the ' +
    'same value stays as it is; another value needs --replace. Without a value the rules choose a ' +
    'back-end, as for a login, but none that is being drained; who is there already stays there.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> ann fritz',
    '<%= config.bin %> <%= command.id %> ann',
    '<%= config.bin %> <%= command.id %> ann@example.com ann.b@fritz --replace',
    '<%= config.bin %> <%= command.id %> ann fritz --retrieval ingrid',
  ]
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
    value: Args.string({
      description:
        'what user_map may say: a back-end, name@back-end, name@domain, error:…, defer:…; else chosen',
    }),
  }
  static override flags = {
    retrieval: Flags.string({
      summary: 'Where logins go, if not where mail goes: [user@]back-end, written into popmap.',
      helpValue: 'VALUE',
    }),
    replace: Flags.boolean({ summary: 'Change a user that is there.' }),
    'every-domain': Flags.boolean({ summary: 'The name in every domain of ours.' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(UserAdd)
    const config = await this.loadConfig(flags)
    const report = await addUser(config, {
      name: args.user,
      everyDomain: flags['every-domain'],
      value: args.value,
      retrieval: flags.retrieval,
      replace: flags.replace,
    })
    const { key, backend } = report
    if (backend !== undefined) this.log(`${key} lives on ${backend}`)
    const already = args.value === undefined ? '' : ', with that value'
    this.reportChange(report, `is there already${already}`)
    return report
  }
}
