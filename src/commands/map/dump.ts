import { Args, Flags } from '@oclif/core'
import { formatPosition } from '../../base/position.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { type DumpedLine, dumpMap } from '../../map/dump.ts'
import { openNamed } from '../../map/named-map.ts'

const sources = ['aliases', 'user_map', 'popmap', 'popmap.re', 'rules'] as const

export default class MapDump extends MailmuxCommand {
  static override summary = 'Print all that a map says, a line each.'
  static override description =
    'Each line has its source, a tab, and what may stand in that source; with --source only that, ' +
    'as a source. Changes since the build are part of it. Under --json an object a line.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> | sort',
    '<%= config.bin %> <%= command.id %> --source user_map > user_map',
    '<%= config.bin %> <%= command.id %> 41 --places',
  ]
  static override args = {
    map: Args.string({
      default: 'current',
      description: 'a database file, a generation, `current` (in force) or `sources`',
    }),
  }
  static override flags = {
    source: Flags.string({ options: sources, summary: 'Only what is of that source.' }),
    places: Flags.boolean({ summary: 'Add where each line stands.' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(MapDump)
    const config = await this.loadConfig(flags)
    using map = await openNamed(args.map, config)
    for (const dumped of dumpMap(map.database, map.records())) {
      if (flags.source !== undefined && dumped.source !== flags.source) continue
      const text = this.jsonEnabled() ? JSON.stringify(dumped) : lineOf(dumped, flags)
      await this.printLine(text)
    }
    await this.flushLines()
  }
}

function lineOf(
  { source, line, at }: DumpedLine,
  flags: { source?: string | undefined; places: boolean },
): string {
  const place = flags.places && at !== undefined ? [formatPosition(at)] : []
  return [...(flags.source === undefined ? [source] : []), line, ...place].join('\t')
}
