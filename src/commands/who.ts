import { Flags } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { formatTable } from '../cli/table.ts'
import { findRunDir } from '../config/run-dir.ts'
import { services } from '../config/services.ts'
import { whoIsThere } from '../control/who.ts'
import { whoColumns, whoRows } from '../control/who-table.ts'

export default class Who extends MailmuxCommand {
  static override summary = 'Print the sessions of the running daemon, one a line.'
  static override description =
    'By user: service, back-end, address of the client, for how long, bytes from the client and to ' +
    'it. `-` is not known, as before a login; `(held)` is a login that waits while its user is moved. ' +
    'With --json an object a line.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --user ann@example.com',
    '<%= config.bin %> <%= command.id %> --backend fritz --json',
  ]
  static override flags = {
    user: Flags.string({ summary: 'Only those of this user.', helpValue: 'ADDRESS' }),
    backend: Flags.string({ summary: 'Only those at this back-end.', helpValue: 'NAME' }),
    service: Flags.string({ summary: 'Only those of this service.', options: [...services] }),
    from: Flags.string({
      summary: 'Only those from this address or network.',
      helpValue: 'ADDRESS',
    }),
  }

  async run(): Promise<void> {
    const { flags } = await this.parse(Who)
    const { user, backend, service, from } = flags
    const filter = Object.fromEntries(
      Object.entries({ user, backend, service, from }).filter(([, value]) => value !== undefined),
    )
    const { sessions, silent } = await whoIsThere(await findRunDir(flags.config), filter)
    if (silent.length > 0) this.tell(`no answer of workers ${silent.join(', ')}`)
    if (this.jsonEnabled()) {
      for (const session of sessions) await this.printLine(JSON.stringify(session))
    } else if (sessions.length === 0) await this.printLine('nobody is connected')
    else {
      for (const line of formatTable(whoColumns, whoRows(sessions))) await this.printLine(line)
    }
    await this.flushLines()
  }
}
