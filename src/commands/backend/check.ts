import { Args } from '@oclif/core'
import type { ProbeReport } from '../../backend/probe.ts'
import { MailmuxCommand } from '../../cli/base-command.ts'
import { style } from '../../cli/style.ts'
import { formatTable } from '../../cli/table.ts'
import { checkBackends } from '../../daemon/check-backends.ts'

const columns = [
  { title: 'back-end' },
  { title: 'protocol' },
  { title: 'address' },
  { title: 'tls' },
  { title: 'ms', align: 'right' },
  { title: 'logins' },
  { title: 'answer' },
] as const

const dayMs = 86_400_000

export default class BackendCheck extends MailmuxCommand {
  static override summary = 'Ask the back-ends on every port whether they are there.'
  static override description =
    'Greeting, TLS and what is offered before login. Exit status 69 where one does not answer.'
  static override examples = ['<%= config.bin %> <%= command.id %> fritz']
  static override args = {
    backend: Args.string({ multiple: true, description: 'only these; all without one' }),
  }

  async run(): Promise<{ readonly checks: readonly ProbeReport[] }> {
    const { args, flags } = await this.parse(BackendCheck)
    const config = await this.loadConfig(flags)
    const checks = await checkBackends(config, args.backend ?? [])
    for (const [row, line] of formatTable(columns, checks.map(cells)).entries()) {
      this.log(row === 0 ? style.dim(line) : line)
    }
    if (checks.some(({ ok }) => !ok)) process.exitCode = 69
    return { checks }
  }
}

function cells(check: ProbeReport): string[] {
  const { backend, protocol, address, tls, ms, ok, problem } = check
  const { capabilities = [], mechanisms = [] } = check
  const answer = ok
    ? [...warningsOf(check), capabilities.join(', ')].join(' ')
    : style.yellow(problem ?? '')
  return [backend, protocol, address, tls, String(ms), mechanisms.join(' '), answer]
}

function warningsOf({ certificate }: ProbeReport): string[] {
  if (certificate === undefined) return []
  const days = Math.floor((Date.parse(certificate.expires) - Date.now()) / dayMs)
  return days < 30 ? [style.yellow(`(certificate ends in ${days} days)`)] : []
}
