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
    const config = await this.loadConfig(flags)
    const report = {
      file: config.file,
      backends: config.backends.size,
      listeners: config.listeners.length,
    }
    this.log(`${report.file}: good; ${report.backends} back-ends, ${report.listeners} listeners`)
    return report
  }
}
