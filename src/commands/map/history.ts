import { MailmuxCommand } from '../../cli/base-command.ts'
import { formatTable } from '../../cli/table.ts'
import { type HistoryEntry, listHistory } from '../../map/history.ts'

export default class MapHistory extends MailmuxCommand {
  static override summary = 'List the generations of the map: when, what, by whom.'
  static override description =
    'Those that are kept can be compared with `map diff` and gone back to with `map rollback`; ' +
    'map.history in the config says how many builds are kept.'
  static override examples = ['<%= config.bin %> <%= command.id %>']

  async run(): Promise<{ generations: readonly HistoryEntry[] }> {
    const { flags } = await this.parse(MapHistory)
    const generations = await listHistory(await this.loadConfig(flags))
    const rows = generations.map(cellsOf)
    for (const line of formatTable(columns, rows)) this.log(line)
    return { generations }
  }
}

const columns = [
  { title: 'generation', align: 'right' },
  { title: 'when' },
  { title: 'what' },
  { title: 'by' },
  { title: 'users', align: 'right' },
  { title: 'aliases', align: 'right' },
  { title: '' },
] as const

function cellsOf(entry: HistoryEntry): string[] {
  const { generation, at, description = '–', by = '–', users = '', aliases = '' } = entry
  const state = entry.inForce ? 'in force' : entry.kept ? 'kept' : ''
  const when = at === undefined ? '–' : at.replace(/\.\d+Z$/, 'Z')
  return [String(generation), when, description, by, String(users), String(aliases), state]
}
