import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { formatTable } from '../../cli/table.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { type BackendUse, usesOf } from '../../map/backend-use.ts'
import { openMapInForce } from '../../map/open.ts'

export default class BackendShow extends MailmuxCommand {
  static override summary = 'Print what the map sends to a back-end.'
  static override examples = ['<%= config.bin %> <%= command.id %> fritz']
  static override args = {
    backend: Args.string({ required: true, description: 'its short name' }),
  }

  async run(): Promise<BackendUse> {
    const { args, flags } = await this.parse(BackendShow)
    const config = await this.loadConfig(flags)
    const backend = namedBackend(config, args.backend)
    const map = openMapInForce(config, (problem) => this.doubt(problem))
    try {
      const use = usesOf(map, config, backend.name)
      const rows = [
        ['host', backend.host],
        ['state', use.state],
        ['users named there', String(use.left)],
        ['lines of user_map', String(use.delivery)],
        ['lines of popmap', String(use.retrieval)],
        ...use.rules.map((rule) => ['rule', rule]),
        ...(use.smarthost ? [['smarthost', 'mail for addresses elsewhere']] : []),
      ]
      for (const line of formatTable([{ title: '' }, { title: '' }], rows)) this.log(line)
      return use
    } finally {
      map.close()
    }
  }
}
