import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { removeBackend } from '../../config/edit-backends.ts'
import { changeConfig, refuseUsedBackend } from '../../map/edit/change-config.ts'
import type { ChangeReport } from '../../map/edit/change-user.ts'

export default class BackendRemove extends MailmuxCommand {
  static override summary = 'Remove a back-end from mailmux.yaml.'
  static override description =
    'Refused while the map sends anybody there. Running daemons take it by `mailmux reload`.'
  static override examples = ['<%= config.bin %> <%= command.id %> heinrich']
  static override args = {
    backend: Args.string({ required: true, description: 'its short name' }),
  }

  async run(): Promise<ChangeReport> {
    const { args, flags } = await this.parse(BackendRemove)
    const config = await this.loadConfig(flags)
    const report = await changeConfig(config, {
      key: args.backend,
      description: `backend remove ${args.backend}`,
      edit: (text) => removeBackend(text, config.file, args.backend),
      check: (map) => refuseUsedBackend(map, config, args.backend),
    })
    this.reportChange(report, '')
    return report
  }
}
