import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { LiveLines } from '../../cli/live-lines.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { describeWhen, momentOf } from '../../migrate/moment.ts'
import { describeMoved, moveExitCode, MoveView } from '../../migrate/move-report.ts'
import { type MoveReport, moveUser } from '../../migrate/move-user.ts'

export default class UserMove extends MailmuxCommand {
  static override summary = "Move a user's mailbox to another back-end, while it is in use."
  static override description =
    'The mailbox is copied while its user works; then the user is frozen for some seconds, the rest ' +
    'is brought over and compared, and mail and logins go to the new back-end. Killed at any time, it ' +
    'goes on when it is run again. Exit status 75 where another run may help. See docs/migration.md.'
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
    'dry-run': Flags.boolean({ summary: 'Only look: logins, room, names, the map; how much.' }),
    abort: Flags.boolean({
      summary: 'Give up a move that is not done; the user stays.',
      exclusive: ['dry-run'],
    }),
    at: Flags.string({
      summary: 'Copy now, freeze and move then: 22:30, a date with it, or now instead of before.',
      helpValue: 'TIME',
      exclusive: ['dry-run', 'abort'],
    }),
    'no-wait': Flags.boolean({
      summary: 'Leave that to `user moves --due` when it has been copied.',
      exclusive: ['dry-run', 'abort'],
    }),
    merge: Flags.boolean({ summary: 'Add to a mailbox that is not empty.' }),
    'max-bad': Flags.integer({
      default: 0,
      min: 0,
      summary: 'How many messages may be left behind that the new back-end does not take.',
    }),
  }

  async run(): Promise<MoveReport> {
    const { args, flags } = await this.parse(UserMove)
    const config = await this.loadConfig(flags)
    const order = flags.abort ? 'aborted' : flags['dry-run'] ? 'dry run' : 'begun'
    using interrupted = this.untilInterrupted()
    using live = new LiveLines(process.stderr)
    const view = new MoveView(performance.now())
    const show = (): void => live.set('move', view.line(performance.now()))
    const now = Date.now()
    const at = momentOf(flags.at, now)
    if (typeof at === 'number' && at > now) this.tell(describeWhen(args.user, at, now))
    const request = {
      user: args.user,
      to: namedBackend(config, flags.to),
      order,
      merge: flags.merge,
      maxBad: flags['max-bad'],
      at,
      waits: !flags['no-wait'],
    } as const
    const listener = {
      step: (move: Parameters<MoveView['step']>[0]) => (view.step(move), show()),
      progress: (seen: Parameters<MoveView['progress']>[0]) => (view.progress(seen), show()),
      note: (text: string) => view.note(text),
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
