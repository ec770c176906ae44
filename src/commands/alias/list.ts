import { Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { listAliases } from '../../map/listing.ts'
import { openMapInForce } from '../../map/open.ts'

export default class AliasList extends MailmuxCommand {
  static override summary = 'Print the aliases, one a line, in the words of the file.'
  static override description = 'With --json an object a line.'
  static override examples = ['<%= config.bin %> <%= command.id %> --match "team*"']
  static override flags = {
    match: Flags.string({ summary: 'Only names like this, with * and ?.', helpValue: 'GLOB' }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(AliasList)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem))
    try {
      for (const listed of listAliases(map, flags.match)) {
        const text = `${listed.alias}: ${listed.targets.join(', ')}`
        await this.printLine(this.jsonEnabled() ? JSON.stringify(listed) : text)
      }
      await this.flushLines()
    } finally {
      map.close()
    }
  }
}
