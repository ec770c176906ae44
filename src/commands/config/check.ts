import { counted } from '../../base/counted.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'

interface ConfigReport {
  readonly file: string
  readonly backends: number
  readonly listeners: number
}

export default class ConfigCheck extends MailmuxCommand {
  static override summary = 'Check the config and name every problem with its place.'
  static override examples = ['<%= config.bin %> <%= command.id %> --config mailmux.yaml']

  async run(): Promise<ConfigReport> {
    const { flags } = await this.parse(ConfigCheck)
    const { file, backends, listeners } = await this.loadConfig(flags)
    const report = { file, backends: backends.size, listeners: listeners.length }
    const parts = [counted(report.backends, 'back-end'), counted(report.listeners, 'listener')]
    this.log(`${file}: good; ${parts.join(', ')}`)
    return report
  }
}
