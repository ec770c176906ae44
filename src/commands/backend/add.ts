import { Args, Flags } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { insertBackend } from '../../config/edit-backends.ts'
import type { ChangeReport } from '../../map/edit/change-user.ts'
import { changeConfig } from '../../map/edit/change-config.ts'

const port = { min: 1, max: 65_535, helpValue: 'PORT' }

export default class BackendAdd extends MailmuxCommand {
  static override summary = 'Add a back-end to mailmux.yaml.'
  static override description =
    'Comments and order of the file stay. Running daemons take it by `mailmux reload`.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> heinrich 10.0.0.13 --lmtp 24 --imap 143 --pop3 110 --sieve 4190',
  ]
  static override args = {
    backend: Args.string({ required: true, description: 'its short name' }),
    host: Args.string({ required: true, description: 'host name or address' }),
  }
  static override flags = {
    smtp: Flags.integer({ ...port, summary: 'Port for SMTP.' }),
    lmtp: Flags.integer({ ...port, summary: 'Port for LMTP.' }),
    imap: Flags.integer({ ...port, summary: 'Port for IMAP.' }),
    pop3: Flags.integer({ ...port, summary: 'Port for POP3.' }),
    sieve: Flags.integer({ ...port, summary: 'Port for ManageSieve.' }),
    submission: Flags.integer({ ...port, summary: 'Port for submission.' }),
    tls: Flags.string({
      options: ['none', 'starttls', 'implicit'],
      summary: 'How to speak to it.',
    }),
    'tls-ca': Flags.string({ summary: 'PEM file of who may vouch for it.', helpValue: 'FILE' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(BackendAdd)
    const config = await this.loadConfig(flags)
    const { smtp, lmtp, imap, pop3, sieve, submission, tls, 'tls-ca': tlsCa } = flags
    const ports = { smtp, lmtp, imap, pop3, sieve, submission }
    const given = { host: args.host, ...ports, tls, tls_ca: tlsCa }
    const settings = Object.entries(given).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value] as const],
    )
    const named = [args.backend, Object.fromEntries(settings)] as const
    const report = await changeConfig(config, {
      key: args.backend,
      description: `backend add ${args.backend} ${args.host}`,
      edit: (text) => insertBackend(text, config.file, named),
    })
    this.reportChange(report, '')
    return report
  }
}
