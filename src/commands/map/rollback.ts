import { existsSync } from 'node:fs'
import { Args, Flags } from '@oclif/core'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { controlPath } from '../../control/path.ts'
import { openCurrent, openGeneration } from '../../map/compared-map.ts'
import { describeTotals } from '../../map/describe-difference.ts'
import { Difference } from '../../map/difference.ts'
import { type RollbackReport, rollBack } from '../../map/rollback.ts'
import type { Config } from '../../config/config.ts'

function parseGeneration(text: string): number {
  const generation = Number(text)
  if (/^\d{1,15}$/.test(text) && generation > 0) return generation
  throw new MailmuxError(
    'USAGE',
    `${JSON.stringify(text)} is no generation: \`mailmux map history\``,
  )
}

export default class MapRollback extends MailmuxCommand {
  static override summary = 'Put the map of an older generation in force again, as a new one.'
  static override description =
    'The sources stay as they are, and the next `build-map` takes what they say: mend them before. ' +
    'Without --yes it only says what would change. Running daemons take it by `mailmux reload`.'
  static override examples = [
    '<%= config.bin %> map history',
    '<%= config.bin %> <%= command.id %> 41 --yes',
  ]
  static override args = {
    generation: Args.string({ required: true, description: 'one that is kept' }),
  }
  static override flags = {
    yes: Flags.boolean({ char: 'y', summary: 'Do it.' }),
  }

  async run(): Promise<RollbackReport> {
    const { args, flags } = await this.parse(MapRollback)
    const wanted = parseGeneration(args.generation)
    const config = await this.loadConfig(flags)
    if (!flags.yes) await this.#refuse(config, wanted)
    const report = await rollBack(config, wanted)
    const { database, generation, restored, users, aliases, warning } = report
    if (warning !== undefined && !this.jsonEnabled()) this.tell(`warning: ${warning}`)
    this.log(
      `${database}: generation ${generation} is what ${restored} was; ${users} users, ${aliases} aliases`,
    )
    this.log('the sources say what they said: `mailmux map diff` shows what the next build changes')
    if (existsSync(controlPath(config.runDir))) {
      this.log('a daemon is running: `mailmux reload` makes it take the new map')
    }
    return report
  }

  /** Says what it would do, and ends the command. */
  async #refuse(config: Config, generation: number): Promise<never> {
    using current = openCurrent(config)
    using older = await openGeneration(config, generation)
    const difference = new Difference(current, older, config.naming)
    Array.from(difference.changes())
    for (const line of describeTotals(difference.summary)) this.log(line)
    throw new MailmuxError('USAGE', `nothing was done: give --yes to go back to ${generation}`)
  }
}
