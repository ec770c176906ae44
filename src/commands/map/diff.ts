import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { describeChange, describeTotals } from '../../map/describe-difference.ts'
import { Difference } from '../../map/difference.ts'
import { openNamed } from '../../map/named-map.ts'

const forms = 'a database file, a generation, `current` (in force) or `sources`'

export default class MapDiff extends MailmuxCommand {
  static override summary = 'Print who is sent elsewhere by another map, from where to where.'
  static override description =
    'Prints every user, alias and rule that differs, then how many go from where to where. ' +
    'Under --json an object a line; the last is {"summary"}. Exit status 1 where maps differ.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> 41 current',
    '<%= config.bin %> <%= command.id %> /backup/map.db sources --json',
  ]
  static override args = {
    older: Args.string({ default: 'current', description: `the map before: ${forms}` }),
    newer: Args.string({ default: 'sources', description: 'the map after, likewise' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(MapDiff)
    const config = await this.loadConfig(flags)
    using older = await openNamed(args.older, config)
    using newer = await openNamed(args.newer, config)
    const difference = new Difference(older, newer, config.naming)
    for (const line of linesOf(difference, this.jsonEnabled())) await this.printLine(line)
    await this.flushLines()
    const { rerouted, added, removed, aliases, settings } = difference.summary
    process.exitCode = rerouted + added + removed + aliases + settings === 0 ? 0 : 1
  }
}

function* linesOf(difference: Difference, isJson: boolean): Generator<string> {
  for (const change of difference.changes()) {
    yield isJson ? JSON.stringify(change) : describeChange(change)
  }
  const { summary } = difference
  if (isJson) yield JSON.stringify({ summary })
  else yield* describeTotals(summary)
}
