import { Args } from '@oclif/core'
import { counted } from '../../base/counted.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { setBackendState } from '../../config/edit-backends.ts'
import { namedBackend } from '../../config/named-backend.ts'
import { type BackendStateReport, changeBackendState } from '../../map/edit/change-backend-state.ts'

export default class BackendDrain extends MailmuxCommand {
  static override summary = 'Give a back-end no new users, and tell who is to be moved from it.'
  static override description =
    'It goes on serving those who are there, and no route changes: mail that a rule alone sends ' +
    'there may have a mailbox already, which nobody can tell here. `user add` without a back-end ' +
    'chooses another one; `user add`, `user move` and `migrate --then move` to it are refused. It ' +
    'is written into mailmux.yaml; running daemons show it after `mailmux reload`.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> fritz',
    '<%= config.bin %> migrate --from fritz --to ingrid --then move',
  ]
  static override args = {
    backend: Args.string({ required: true, description: 'its short name' }),
  }

  async run(): Promise<BackendStateReport> {
    const { args, flags } = await this.parse(BackendDrain)
    const config = await this.loadConfig(flags)
    const { name: backend } = namedBackend(config, args.backend)
    const state = 'draining'
    const report = await changeBackendState(config, {
      backend,
      state,
      edit: (text) => setBackendState(text, config.file, [backend, state]),
    })
    this.reportChange(report, 'is being drained already')
    const { users, rules } = report
    this.log(`${counted(users.length, 'user')} left: mailmux user list --backend ${backend}`)
    if (users.length > 0) {
      this.log(`to move them: mailmux migrate --from ${backend} --to NAME --then move`)
    }
    for (const rule of rules) this.log(`others may be there by rule ${rule}`)
    if (rules.length > 0) {
      this.log('take it out of the rules when those, whom it alone knows, have been moved by name')
    }
    return report
  }
}
