import { Flags } from '@oclif/core'
import { MailmuxError } from '../../base/error.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { formatTable } from '../../cli/table.ts'
import type { Config } from '../../config/config.ts'
import { dueMoves } from '../../migrate/due-moves.ts'
import {
  type ListedMove,
  listMoves,
  purgeMoves,
  type SettledMove,
  sweepMoves,
} from '../../migrate/list-moves.ts'
import { describeMinute } from '../../migrate/moment.ts'
import { describeSettled, settledExitCode } from '../../migrate/move-report.ts'

const columns = ['user', 'from', 'to', 'step', 'since', 'awaits'].map((title) => ({ title }))

export default class UserMoves extends MailmuxCommand {
  static override summary = 'List moves of users; look after those that are done.'
  static override description =
    '--due goes on with what is due: moves whose time has come, and sweeps, which bring over what has ' +
    'come to back-ends that users have left, by ways that are not ours. The daemon runs it; without ' +
    'one it is for cron, every minute or so. --sweep sweeps all of them now. --purge takes away ' +
    'mailboxes that have been kept for `move.retain`, folder by folder as long as their copies are at the new home, or were deleted there.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --sweep',
    '<%= config.bin %> <%= command.id %> --purge --yes',
  ]
  static override flags = {
    sweep: Flags.boolean({
      summary: 'Bring over what came to old back-ends.',
      exclusive: ['due', 'purge'],
    }),
    due: Flags.boolean({
      summary: 'Go on with moves and sweeps whose time has come.',
      exclusive: ['purge'],
    }),
    purge: Flags.boolean({ summary: 'Take away what has been kept for its time; needs --yes.' }),
    unverified: Flags.boolean({
      summary: 'Also what is not to be found at the new home any more.',
      dependsOn: ['purge'],
    }),
    yes: Flags.boolean({ summary: 'It is meant.', dependsOn: ['purge'] }),
  }

  async run(): Promise<ListedMove[] | SettledMove[]> {
    const { flags } = await this.parse(UserMoves)
    const config = await this.loadConfig(flags)
    if (!flags.sweep && !flags.purge && !flags.due) {
      const moves = await listMoves(config)
      const rows = moves.map(({ user, source, target, step, since, awaits = '' }) => {
        return [user, source, target, step, describeMinute(Date.parse(since)), awaits]
      })
      for (const line of rows.length === 0 ? [] : formatTable(columns, rows)) this.log(line)
      return moves
    }
    if (flags.purge && !flags.yes) {
      throw new MailmuxError('USAGE', 'what is purged is gone: say --yes if it is meant')
    }
    using interrupted = this.untilInterrupted()
    const { signal } = interrupted
    const settled = await this.#settle(config, flags, signal)
    for (const one of settled) this.log(describeSettled(one))
    process.exitCode = settledExitCode(settled)
    return settled
  }

  #settle(
    config: Config,
    { sweep, due, unverified }: { sweep: boolean; due: boolean; unverified: boolean },
    signal: AbortSignal,
  ): Promise<SettledMove[]> {
    if (sweep) return sweepMoves(config, signal)
    const now = Date.now()
    if (due) return dueMoves(config, now, signal)
    return purgeMoves(config, now, signal, { isUnverified: unverified })
  }
}
