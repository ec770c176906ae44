import { MailmuxCommand } from '../../cli/base-command.ts'
import { formatTable } from '../../cli/table.ts'
import type { BackendConfig, Config } from '../../config/config.ts'
import { usersAt } from '../../map/backend-use.ts'
import { openMapInForce } from '../../map/open.ts'

interface ListedBackend {
  readonly backend: string
  readonly host: string
  readonly ports: Readonly<Record<string, { readonly port: number; readonly tls: string }>>
  readonly state: BackendConfig['state']
  /** In drain: users that the sources name there. */
  readonly left?: number
}

const columns = [
  { title: 'back-end' },
  { title: 'host' },
  { title: 'ports' },
  { title: 'state' },
  { title: 'left', align: 'right' },
] as const

export default class BackendList extends MailmuxCommand {
  static override summary = 'Print the back-ends of the config.'
  static override description =
    'Of those that are being drained, how many users the sources still name there.'
  static override examples = ['<%= config.bin %> <%= command.id %> --json']

  async run(): Promise<{ readonly backends: readonly ListedBackend[] }> {
    const { flags } = await this.parse(BackendList)
    const config = await this.loadConfig(flags)
    const left = this.#countLeft(config)
    const listed = [...config.backends.values()].map((backend) => describe(backend, left))
    const rows = listed.map(({ backend, host, ports, state, left: count }) => [
      backend,
      host,
      Object.entries(ports)
        .map(([protocol, { port, tls }]) => `${protocol} ${port}${tls === 'none' ? '' : ` ${tls}`}`)
        .join(', '),
      state === 'online' ? '' : state,
      count === undefined ? '' : String(count),
    ])
    for (const line of formatTable(columns, rows)) this.log(line)
    return { backends: listed }
  }

  #countLeft(config: Config): ReadonlyMap<string, number> {
    const draining = [...config.backends.values()].filter(({ state }) => state === 'draining')
    if (draining.length === 0) return new Map()
    const map = openMapInForce(config, (problem) => this.doubt(problem))
    try {
      return new Map(draining.map(({ name }) => [name, [...usersAt(map, name)].length]))
    } finally {
      map.close()
    }
  }
}

function describe(
  { name, host, endpoints, state }: BackendConfig,
  counts: ReadonlyMap<string, number>,
): ListedBackend {
  const left = counts.get(name)
  const ports = Object.entries(endpoints).map(([protocol, { port, tls }]) => [
    protocol,
    { port, tls },
  ])
  return {
    backend: name,
    host,
    ports: Object.fromEntries(ports) as ListedBackend['ports'],
    state,
    ...(left === undefined ? {} : { left }),
  }
}
