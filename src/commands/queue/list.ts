import { MailmuxCommand } from '../../cli/base-command.ts'
import { type Column, formatTable } from '../../cli/table.ts'
import { formatDuration } from '../../control/status-text.ts'
import { listQueue } from '../../daemon/queue/queue-access.ts'
import type { QueuedMessage } from '../../mail/queued-message.ts'
import { describeState } from '../../spool/describe-queued.ts'

/** A spool may be large: columns are aligned among so many. */
const rowsAtOnce = 500
const columns: readonly Column[] = [
  { title: 'message' },
  { title: 'owed', align: 'right' },
  { title: 'KiB', align: 'right' },
  { title: 'age', align: 'right' },
  { title: 'next in', align: 'right' },
  { title: 'why it waits' },
]

export default class QueueList extends MailmuxCommand {
  static override summary = 'Print the messages that were accepted and are still owed to somebody.'
  static override description =
    'Oldest first, those that are kept aside last: how many recipients wait, size, age, ' +
    'when it is tried next, and why it waits. With --json an object a line, with whole times.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --json',
  ]

  async run(): Promise<void> {
    const { flags } = await this.parse(QueueList)
    const config = await this.loadConfig(flags)
    let rows: string[][] = []
    let count = 0
    for await (const message of listQueue(config)) {
      if (this.jsonEnabled()) {
        await this.printLine(JSON.stringify(message))
        continue
      }
      rows.push(rowOf(message, Date.now()))
      count++
      if (count % rowsAtOnce !== 0) continue
      await this.#printTable(rows, count === rowsAtOnce)
      rows = []
    }
    if (count === 0 && !this.jsonEnabled()) await this.printLine('the queue is empty')
    if (rows.length > 0) await this.#printTable(rows, count < rowsAtOnce)
    await this.flushLines()
  }

  async #printTable(rows: readonly string[][], isFirst: boolean): Promise<void> {
    const titled = columns.map((column) => (isFirst ? column : { ...column, title: '' }))
    for (const line of formatTable(titled, rows)) await this.printLine(line)
  }
}

function rowOf(message: QueuedMessage, now: number): string[] {
  const { id, size, arrived, next, recipients, state } = message
  const owed = recipients.filter(({ result }) => result === 'owed').length
  const since = (time: string): string => formatDuration(Math.max(0, now - Date.parse(time)))
  const until = (time: string): string => formatDuration(Math.max(0, Date.parse(time) - now))
  const wait = state !== 'waiting' ? '-' : next === undefined ? 'now' : until(next)
  return [
    id,
    `${owed}`,
    `${Math.ceil(size / 1024)}`,
    arrived === undefined ? '-' : since(arrived),
    wait,
    describeState(message),
  ]
}
