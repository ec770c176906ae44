import { Args } from '@oclif/core'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { type VerifyReport, verifyDatabase } from '../../map/verify.ts'

export default class MapVerify extends MailmuxCommand {
  static override summary = 'Read a whole database and check everything in it.'
  static override description =
    'Layout, the checksum of every block, and that every record is found by its key. ' +
    'Exit status 78 where something is wrong, with what and where.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> /backup/map.db',
  ]
  static override args = {
    file: Args.string({ description: 'a database file (default: the one in force)' }),
  }

  async run(): Promise<VerifyReport> {
    const { args, flags } = await this.parse(MapVerify)
    const path = args.file ?? (await this.loadConfig(flags)).map.database
    const report = verifyDatabase(path)
    const { database, generation, bytes, records, problems, problemCount } = report
    if (problemCount > 0) {
      const count = `${problemCount} ${problemCount === 1 ? 'fault' : 'faults'}`
      const lines = problems.map((problem) => `${database}: ${problem}`)
      throw new MailmuxError('MAP_DATABASE_DAMAGED', [...lines, `${database}: ${count}`].join('\n'))
    }
    this.log(`${database}: generation ${generation}, ${records} records, ${bytes} bytes: all right`)
    return report
  }
}
