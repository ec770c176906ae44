import { Args } from '@oclif/core'
import { formatPosition } from '../../base/position.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { style } from '../../cli/style.ts'
import { formatTable } from '../../cli/table.ts'
import { exitCodeOf } from '../../map/answer.ts'
import { type ShownUser, showUser } from '../../map/listing.ts'
import { openMapInForce } from '../../map/open.ts'

const columns = [{ title: 'source' }, { title: 'key' }, { title: 'value' }, { title: 'where' }]

export default class UserShow extends MailmuxCommand {
  static override summary = 'Print all that the map says of a user.'
  static override description =
    'Both routes, the lines of the sources, changes since the build, aliases that lead to it.'
  static override examples = ['<%= config.bin %> <%= command.id %> ann@example.com']
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
  }

  async run(): Promise<ShownUser> {
    const { args, flags } = await this.parse(UserShow)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem), 'few questions')
    try {
      const { routes, ...shown } = showUser(map, config, args.user)
      this.log(style.bold(shown.user))
      this.log(`  mail    → ${routes.delivery}`)
      this.log(`  logins  → ${routes.retrieval}`)
      const rows = shown.lines.map(({ source, key, value, at, changed }) => {
        const note = changed === undefined ? '' : ` (changed in generation ${changed})`
        return [source, key, value, `${at === undefined ? '' : formatPosition(at)}${note}`.trim()]
      })
      for (const line of rows.length === 0 ? [] : formatTable(columns, rows)) this.log(`  ${line}`)
      if (shown.aliases.length > 0) this.log(`  reached by ${shown.aliases.join(', ')}`)
      process.exitCode = exitCodeOf(shown.delivery)
      return shown
    } finally {
      map.close()
    }
  }
}
