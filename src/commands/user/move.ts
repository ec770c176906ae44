import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { LiveLines } from '../../cli/live-lines.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { ignorable } from '../../migrate/check-logins.ts'
import { momentOf } from '../../migrate/moment.ts'
import { describeMoved, moveExitCode, MoveView } from '../../migrate/move-report.ts'
import { type MoveListener, type MoveReport, moveUser } from '../../migrate/move-user.ts'

export default class UserMove extends MailmuxCommand {
  static override summary = "Move a user's mailbox to another back-end, while it is in use."
  static override description =
    'The mailbox is copied while its user works; then the user is frozen for some seconds, the rest ' +
    'is brought over and compared, and mail and logins go to the new back-end. Killed at any time, it ' +
    'goes on when it is run again. Exit status 75 where another run may help. See docs/migration.md.'
  static override usage = [
    '<%= command.id %> USER --to NAME [--at TIME] [--no-wait] [FLAGS]',
    '<%= command.id %> USER --to NAME --dry-run [FLAGS]',
    '<%= command.id %> USER --to NAME --abort',
  ]
  static override examples = [
    '<%= config.bin %> <%= command.id %> ann --to ingrid --dry-run',
    '<%= config.bin %> <%= command.id %> ann@example.com --to ingrid --at 22:30',
    '<%= config.bin %> <%= command.id %> ann --to ingrid --abort',
  ]
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
  }
  static override flags = {
    to: Flags.string({ required: true, summary: 'Back-end to move to.', helpValue: 'NAME' }),
    'dry-run': Flags.boolean({
      summary: 'Only look: logins, room, names, the map; how much.',
      exclusive: ['abort', 'at', 'no-wait'],
    }),
    abort: Flags.boolean({
      summary: 'Give up a move that is not done; the user stays.',
      exclusive: ['at', 'no-wait'],
    }),
    at: Flags.string({
      summary: 'Copy now, freeze and move then: 22:30, a date with it, or now instead of before.',
      helpValue: 'TIME',
    }),
    'no-wait': Flags.boolean({
      summary: 'End when it is copied, and leave the time of --at to `user moves --due`.',
    }),
    merge: Flags.boolean({ summary: 'Add to a mailbox that is not empty.' }),
    'max-bad': Flags.integer({ default: 0, min: 0, summary: 'Messages to leave behind at most.' }),
    ignore: Flags.option({ options: ignorable, multiple: true, summary: 'What is left behind.' })(),
    verify: Flags.option({ options: ['full'] as const, summary: 'Compare all in the freeze.' })(),
  }

  async run(): Promise<MoveReport> {
    const { args, flags } = await this.parse(UserMove)
    const config = await this.loadConfig(flags)
    const order = flags.abort ? 'aborted' : flags['dry-run'] ? 'dry run' : 'begun'
    using interrupted = this.untilInterrupted()
    using live = new LiveLines(process.stderr)
    const tell = (line: string): void => live.passBy('move', () => this.tell(line))
    const view = new MoveView(performance.now(), tell)
    const show = (): void => live.set('move', view.line(performance.now()))
    const to = namedBackend(config, flags.to)
    const at = momentOf(flags.at, Date.now())
    const { merge, 'max-bad': maxBad, ignore: ignores = [], verify, 'no-wait': leaves } = flags
    const allowed = { merge, maxBad, ignores, verify }
    const request = { user: args.user, to, order, ...allowed, at, waits: !leaves } as const
    const listener: MoveListener = {
      step: (move) => (view.step(move, Date.now()), show()),
      progress: (seen) => (view.progress(seen), show()),
      note: (text) => view.note(text),
    }
    const report = await moveUser(config, request, listener, interrupted.signal)
    live.passBy('move', () => {
      for (const note of view.notes) this.tell(note)
      for (const line of describeMoved(report)) this.log(line)
    })
    process.exitCode = moveExitCode(report)
    return report
  }
}
