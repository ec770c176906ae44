import { Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { listUsers } from '../../map/listing.ts'
import { openMapInForce } from '../../map/open.ts'

export default class UserList extends MailmuxCommand {
  static override summary = 'Print the users that the sources name, one a line.'
  static override description =
    'User, what user_map says, and after `logins:` what popmap says. With --json an object a line.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --backend fritz',
    '<%= config.bin %> <%= command.id %> --match "a*@example.com" --json',
  ]
  static override flags = {
    backend: Flags.string({ summary: 'Only users at this back-end.', helpValue: 'NAME' }),
    match: Flags.string({ summary: 'Only names like this, with * and ?.', helpValue: 'GLOB' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(UserList)
    const config = await this.loadConfig(flags)
    if (flags.backend !== undefined) namedBackend(config, flags.backend)
    const map = openMapInForce(config, (problem) => this.doubt(problem))
    try {
      for (const listed of listUsers(map, flags)) {
        const { user, value, retrieval } = listed
        const logins = retrieval === undefined ? '' : `\tlogins: ${retrieval}`
        await this.printLine(
          this.jsonEnabled() ? JSON.stringify(listed) : `${user}\t${value ?? '-'}${logins}`,
        )
      }
      await this.flushLines()
    } finally {
      map.close()
    }
  }
}
