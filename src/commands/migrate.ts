import { Flags } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { LiveLines } from '../cli/live-lines.ts'
import { endOf, type MigrationReport } from '../migrate/migration-report.ts'
import { ignorable } from '../migrate/check-logins.ts'
import { MigrationView } from '../migrate/migration-view.ts'
import { migrateUsers, type MigrationListener } from '../migrate/migrate-users.ts'
import { namedBackend } from '../config/named-backend.ts'
import { describeClosed } from '../migrate/moment.ts'
import { requestOf } from '../migrate/migration-request.ts'
import { prepareMigration } from '../migrate/prepare-migration.ts'

export default class Migrate extends MailmuxCommand {
  static override summary = 'Copy mailboxes to a back-end, and verify them.'
  static override description =
    'Nothing at the source is changed, and without --then no route. Run again, it goes on. Exit ' +
    'status 1 where a mailbox is not equal, 75 where another run may help. See docs/migration.md.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --from fritz --to ingrid --dry-run',
    '<%= config.bin %> <%= command.id %> --from fritz --to ingrid --window "mon-fri 22:00-06:00"',
  ]
  static override flags = {
    from: Flags.string({ summary: 'Back-end to copy from.', helpValue: 'NAME' }),
    source: Flags.string({ summary: 'Server elsewhere to copy from.', helpValue: 'imaps://HOST' }),
    credentials: Flags.string({ summary: 'What users log in with there.', helpValue: 'FILE' }),
    to: Flags.string({ required: true, summary: 'Back-end to copy to.', helpValue: 'NAME' }),
    users: Flags.string({
      summary: 'A file of users, one a line, or names with * and ?; else all at the back-end.',
      helpValue: 'FILE|PATTERN',
    }),
    jobs: Flags.integer({ default: 2, min: 1, max: 64, summary: 'Mailboxes at a time.' }),
    'dry-run': Flags.boolean({ summary: 'Only look: logins, room, names of folders, how much.' }),
    'max-bad': Flags.integer({ default: 0, min: 0, summary: 'Messages to leave behind, each.' }),
    verify: Flags.option({
      options: ['changed', 'full', 'fast', 'none'] as const,
      default: 'changed',
      summary: 'Compare octets of what has changed, or all, or only sizes and Message-Ids.',
    })(),
    ignore: Flags.option({ options: ignorable, multiple: true, summary: 'What is left behind.' })(),
    // oxlint-disable-next-line unicorn/no-thenable -- nobody awaits flags
    then: Flags.string({
      options: ['move'] as const,
      summary: 'Move each user when the mailbox has been copied.',
      exclusive: ['dry-run', 'map-folder', 'source'],
    }),
    merge: Flags.boolean({ summary: 'Add to mailboxes that are not empty.' }),
    window: Flags.string({ multiple: true, summary: 'Hours to copy in.', helpValue: 'HOURS' }),
    'no-wait': Flags.boolean({ summary: 'End with 75 where it would wait for a window.' }),
    'map-folder': Flags.string({
      multiple: true,
      summary: 'Another name for a folder.',
      helpValue: 'OLD=NEW',
    }),
  }

  async run(): Promise<MigrationReport> {
    const { flags } = await this.parse(Migrate)
    const config = await this.loadConfig(flags)
    using interrupted = this.untilInterrupted()
    const named = (name: string) => namedBackend(config, name)
    const plan = await prepareMigration(config, requestOf(flags, named, interrupted.signal))
    using live = new LiveLines(process.stderr)
    const { users } = plan
    const view = new MigrationView(users.length, performance.now())
    const listener: MigrationListener = {
      progress: (progress) => {
        const line = view.line(progress, performance.now())
        if (users.length > 1) live.set('all', view.total(performance.now()))
        live.set(progress.user, line)
      },
      ended: (one) => live.passBy(one.user, () => this.log(view.ended(one))),
      closed: (at) => live.passBy('', () => this.tell(describeClosed(at))),
    }
    const report = await migrateUsers(plan, listener, interrupted.signal)
    const { lines, exitCode } = endOf(report)
    for (const line of lines) this.log(line)
    process.exitCode = exitCode
    return report
  }
}
