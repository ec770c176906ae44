import { Args, Flags } from '@oclif/core'
import { counted } from '../../base/counted.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { findRunDir } from '../../config/run-dir.ts'
import { services } from '../../config/services.ts'
import { askDaemon } from '../../control/client.ts'
import type { KickReport } from '../../control/session-messages.ts'

/** Boundaries are waited for, then sockets. */
const patienceMs = 30_000

export default class UserKick extends MailmuxCommand {
  static override summary = "End a user's sessions in the running daemon."
  static override description =
    'Each is told of it between two responses of its back-end; where that does not come within two ' +
    'seconds it is cut off. Returns when all are gone. Nothing keeps the user from coming back.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> ann@example.com',
    '<%= config.bin %> <%= command.id %> ann --service imap --from 192.0.2.7',
  ]
  static override args = {
    user: Args.string({ required: true, description: 'name@domain, or a name of default_domain' }),
  }
  static override flags = {
    service: Flags.string({ summary: 'Only those of this service.', options: [...services] }),
    from: Flags.string({
      summary: 'Only those from this address or network.',
      helpValue: 'ADDRESS',
    }),
  }

  async run(): Promise<KickReport> {
    const { args, flags } = await this.parse(UserKick)
    const { service, from } = flags
    const details = {
      user: args.user,
      ...(service === undefined ? {} : { service }),
      ...(from === undefined ? {} : { from }),
    }
    const runDir = await findRunDir(flags.config)
    const report = await askDaemon(runDir, 'kick', patienceMs, { details })
    const { user, sessions, silent } = report
    if (silent.length > 0) this.tell(`no answer of workers ${silent.join(', ')}`)
    this.log(`${user}: ${counted(sessions, 'session')} ended`)
    return report
  }
}
