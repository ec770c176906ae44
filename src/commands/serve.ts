import { Args } from '@oclif/core'
import { MailmuxCommand } from '../cli/base-command.ts'
import { services } from '../config/services.ts'

export default class Serve extends MailmuxCommand {
  static override summary =
    'Run the daemons: the SMTP and the LMTP relay, the IMAP, POP3, ManageSieve and submission proxies.'
  static override description =
    'Runs in the foreground and writes its log to stdout, one JSON object a line. ' +
    'SIGTERM or SIGINT stops it when its sessions have ended, a second one at once; ' +
    'SIGHUP, like `mailmux reload`, takes a new config and map.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> imap pop3 --config mailmux.yaml',
  ]
  // What it prints is its log.
  static override enableJsonFlag = false
  static override args = {
    service: Args.string({
      multiple: true,
      options: services,
      description: 'what to serve; all that the config listens for where none is named',
    }),
  }

  async run(): Promise<void> {
    const { args, flags } = await this.parse(Serve)
    const config = await this.loadConfig(flags)
    const { supervise } = await import('../daemon/supervise.ts')
    const named = new Set<string>(args.service)
    await supervise({
      config,
      services: services.filter((service) => named.has(service)),
      program: [process.execPath, ...process.execArgv, process.argv[1] ?? ''],
      warn: (problems) => this.warnOf(problems),
    })
  }
}
