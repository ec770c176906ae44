import { MailmuxCommand } from '../../cli/base-command.ts'
import { configSchema } from '../../config/schema.ts'

export default class ConfigSchema extends MailmuxCommand {
  static override summary = 'Print the JSON Schema of mailmux.yaml, for editors.'
  static override description =
    'Save it and name it in the first line of mailmux.yaml: # yaml-language-server: $schema=FILE'
  static override examples = ['<%= config.bin %> <%= command.id %> > mailmux.schema.json']

  async run(): Promise<object> {
    await this.parse(ConfigSchema)
    this.log(JSON.stringify(configSchema, undefined, 2))
    return configSchema
  }
}
