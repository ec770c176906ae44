import { Args } from '@oclif/core'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { type AliasTree, drawTree, showAlias } from '../../map/listing.ts'
import { openMapInForce } from '../../map/open.ts'

export default class AliasShow extends MailmuxCommand {
  static override summary = 'Print an alias as a tree: what it leads to, down to the back-ends.'
  static override examples = ['<%= config.bin %> <%= command.id %> info']
  static override args = {
    alias: Args.string({ required: true, description: 'name, or name@domain' }),
  }

  async run(): Promise<AliasTree> {
    const { args, flags } = await this.parse(AliasShow)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem), 'few questions')
    try {
      const tree = showAlias(map, config, args.alias)
      if (tree === undefined) {
        throw new MailmuxError('ALIAS_UNKNOWN', `there is no alias ${args.alias}`)
      }
      for (const line of drawTree(tree)) this.log(line)
      return tree
    } finally {
      map.close()
    }
  }
}
