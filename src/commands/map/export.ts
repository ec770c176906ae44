import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { exportMap } from '../../map/formats/export-map.ts'
import { mapFormats } from '../../map/formats/formats.ts'
import { describeNote } from '../../map/formats/import-map.ts'
import { openMapInForce } from '../../map/open.ts'

export default class MapExport extends MailmuxCommand {
  static override enableJsonFlag = false
  static override summary = 'Print the map in force in the form of other software.'
  static override description =
    'What the form has no words for is listed on stderr, and the exit status is 65 unless --partial.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> postfix-transport > transport',
    '<%= config.bin %> <%= command.id %> json-lines > map.jsonl',
  ]
  static override args = {
    format: Args.string({
      required: true,
      options: [...mapFormats.keys()],
      description: 'see docs/formats.md',
    }),
  }
  static override flags = {
    partial: Flags.boolean({ summary: 'Exit 0 also where something is left out.' }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(MapExport)
    const format = mapFormats.get(args.format)
    if (format === undefined) throw new TypeError(args.format)
    const config = await this.loadConfig(flags)
    const map = openMapInForce(config, (problem) => this.doubt(problem))
    try {
      let isWhole = true
      for (const printed of exportMap(format, map, config)) {
        if (typeof printed === 'string') await this.printLine(printed)
        else {
          isWhole = false
          this.tell(describeNote(printed))
        }
      }
      await this.flushLines()
      if (!isWhole && !flags.partial) process.exitCode = 65
    } finally {
      map.close()
    }
  }
}
