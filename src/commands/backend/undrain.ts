import { Args } from '@oclif/core'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { setBackendState } from '../../config/edit-backends.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { type BackendStateReport, changeBackendState } from '../../map/edit/change-backend-state.ts'

export default class BackendUndrain extends MailmuxCommand {
  static override summary = 'Give a back-end new users again.'
  static override description =
    'Takes back `backend drain`, in mailmux.yaml. Who was moved away meanwhile stays away.'
  static override examples = ['<%= config.bin %> <%= command.id %> fritz']
  static override args = {
    backend: Args.string({ required: true, description: 'its short name' }),
  }

  async run(): Promise<BackendStateReport> {
    const { args, flags } = await this.parse(BackendUndrain)
    const config = await this.loadConfig(flags)
    const { name: backend } = namedBackend(config, args.backend)
    const state = 'online'
    const report = await changeBackendState(config, {
      backend,
      state,
      edit: (text) => setBackendState(text, config.file, [backend, state]),
    })
    this.reportChange(report, 'takes new users already')
    return report
  }
}
