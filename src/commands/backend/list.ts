import { MailmuxCommand } from '../../cli/base-command.ts'
import { formatTable } from '../../cli/table.ts'
import type { BackendConfig } from '../../config/config.ts'

interface ListedBackend {
  readonly backend: string
  readonly host: string
  readonly ports: Readonly<Record<string, { readonly port: number; readonly tls: string }>>
}

const columns = [{ title: 'back-end' }, { title: 'host' }, { title: 'ports' }]

export default class BackendList extends MailmuxCommand {
  static override summary = 'Print the back-ends of the config.'
  static override examples = ['<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<{ readonly backends: readonly ListedBackend[] }> {
    const { flags } = await this.parse(BackendList)
    const { backends } = await this.loadConfig(flags)
    const listed = [...backends.values()].map((backend) => describe(backend))
    const rows = listed.map(({ backend, host, ports }) => [
      backend,
      host,
      Object.entries(ports)
        .map(([protocol, { port, tls }]) => `${protocol} ${port}${tls === 'none' ? '' : ` ${tls}`}`)
        .join(', '),
    ])
    for (const line of formatTable(columns, rows)) this.log(line)
    return { backends: listed }
  }
}

function describe({ name, host, endpoints }: BackendConfig): ListedBackend {
  const ports = Object.entries(endpoints).map(([protocol, { port, tls }]) => [
    protocol,
    { port, tls },
  ])
  return { backend: name, host, ports: Object.fromEntries(ports) as ListedBackend['ports'] }
}
