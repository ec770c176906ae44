/**
 * A status report as tables for a person: what serves, what it is asked, which back-ends answer. What
 * is as it should be takes little room; trouble is said in words, and wraps at 80 columns.
 */
import type {
  BackendStatus,
  ProtocolStatus,
  ServiceStatus,
  SpoolStatus,
  StatusReport,
  WorkerStatus,
} from './messages.ts'
import { counted } from '../base/counted.ts'
import { formatDuration, wrapWords } from './status-text.ts'
import { troubleOf } from './trouble-words.ts'

interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

export interface StatusTable {
  readonly columns: readonly Column[]
  readonly rows: readonly StatusRow[]
}

export interface StatusRow {
  readonly cells: readonly string[]
  /** Lines below it. */
  readonly notes: readonly string[]
}

/** An error is old news after this, where all is well again. */
const newsMs = 3_600_000

/** What runs, since when, with which map. */
export function statusHeadlines(report: StatusReport): string[] {
  const {
    version,
    state,
    pid,
    generation,
    config,
    workers,
    spool,
    metrics = [],
    frozen = 0,
    login_alarm: alarm,
  } = report
  const users = report.users === undefined ? '' : ` of ${counted(report.users, 'user')}`
  const builtMs = nowOf(report) - Date.parse(report.map_built)
  const lines = [
    `mailmux ${version} ${state} for ${formatDuration(report.uptime_ms)}, pid ${pid}, ${runningOf(workers)}`,
    `map generation ${generation}${users}, built ${formatDuration(Math.max(0, builtMs))} ago`,
    `config ${config}`,
  ]
  if (spool !== undefined && spool.messages + spool.quarantined > 0) lines.push(spoolLine(spool))
  if (frozen > 0) lines.push(`${counted(frozen, 'user is', 'users are')} frozen for a move`)
  if (alarm !== undefined) {
    lines.push(
      `${counted(alarm.guesses, 'guess', 'guesses')} at logins in the last minute, most from:`,
      ...wrapWords(alarm.networks, ', ', noteChars).map((line) => `    ${line}`),
    )
  }
  if (metrics.length > 0) lines.push(`metrics at ${metrics.join(', ')}`)
  if (report.log_dropped > 0) lines.push(`${report.log_dropped} lines of the log were lost`)
  return lines
}

function spoolLine({ messages, bytes, live, quarantined, oldest_ms: oldest }: SpoolStatus): string {
  const kilobytes = Math.ceil(bytes / 1024)
  const held = `${counted(messages, 'message')}, ${kilobytes} KiB`
  const now = live > 0 ? `, ${live} tried now` : ''
  const age = messages > 0 ? `, the oldest for ${formatDuration(oldest)}` : ''
  return `spool ${held}${now}${age}${quarantined > 0 ? `, ${quarantined} kept aside` : ''}`
}

/** What runs beside the first process. */
function runningOf(all: readonly WorkerStatus[]): string {
  const staying = all.filter(({ state }) => state !== 'leaving')
  const count = staying.filter(({ role }) => role === 'worker').length
  const queue = count < staying.length ? ' and the queue' : ''
  const leaving = staying.length < all.length ? `, ${all.length - staying.length} leaving` : ''
  return `${counted(count, 'worker')}${queue}${leaving}`
}

export function statusTables(report: StatusReport): StatusTable[] {
  const refused = report.services.filter(({ refused: by }) => Object.keys(by).length > 0)
  const hasNews = report.workers.some(({ state, restarts }) => state !== 'serving' || restarts > 0)
  const tables = [
    { columns: serviceColumns, rows: report.services.flatMap(serviceRows) },
    { columns: refusedColumns, rows: refused.flatMap(refusedRows) },
    {
      columns: backendColumns,
      rows: report.backends.flatMap((backend) => backendRows(backend, nowOf(report))),
    },
    { columns: workerColumns, rows: hasNews ? report.workers.map(workerRow) : [] },
  ]
  return tables.filter(({ rows }) => rows.length > 0)
}

/** The clock of the daemon that reported; milliseconds of the epoch. */
function nowOf({ started, uptime_ms }: StatusReport): number {
  return Date.parse(started) + uptime_ms
}

const serviceColumns: readonly Column[] = [
  { title: 'SERVICE' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'LAST MIN', align: 'right' },
  { title: 'OK', align: 'right' },
  { title: 'LATER', align: 'right' },
  { title: 'FAILED', align: 'right' },
  { title: 'LISTENERS' },
]

/** Logins or messages, and a line for each listener beyond the first. */
function serviceRows(service: ServiceStatus): StatusRow[] {
  const { last_minute: recent, logins, messages } = service
  const [first = '', ...others] = service.listeners.map(({ address, tls }) =>
    tls === 'none' ? address : `${address} ${tls}`,
  )
  const cells = [
    service.service,
    service.sessions,
    recent.logins ?? recent.messages ?? 0,
    logins?.ok ?? messages?.accepted ?? 0,
    logins?.unavailable ?? messages?.deferred ?? 0,
    logins?.failed ?? messages?.refused ?? 0,
  ]
  const more = others.map((address) => row(...cells.map(() => ''), address))
  return [row(...cells.map(String), first), ...more]
}

const refusedColumns: readonly Column[] = [
  { title: 'REFUSED' },
  { title: 'LAST MIN', align: 'right' },
  { title: 'CLIENTS, BY REASON' },
]

function refusedRows({ service, refused, last_minute }: ServiceStatus): StatusRow[] {
  const counts = Object.entries(refused)
    .toSorted(([, left], [, right]) => right - left)
    .map(([reason, count]) => `${reason} ${count}`)
  const [first = '', ...others] = wrapWords(counts, ', ', reasonChars)
  return [
    row(service, String(last_minute.refused), first),
    ...others.map((line) => row('', '', line)),
  ]
}

const reasonChars = 58

const backendColumns: readonly Column[] = [
  { title: 'BACK-END' },
  { title: 'PROTOCOL' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'LAST MIN', align: 'right' },
  { title: 'OK', align: 'right' },
  { title: 'FAILURES', align: 'right' },
  { title: 'STATE' },
]

function backendRows({ backend, state, protocols }: BackendStatus, now: number): StatusRow[] {
  return protocols.map((protocol, index) => {
    const { logins, messages, last_minute: recent } = protocol
    const cells = [
      index === 0 ? backend : '',
      protocol.protocol,
      String(protocol.sessions),
      String(recent.requests),
      String(logins?.ok ?? (messages?.accepted ?? 0) + (messages?.delivered ?? 0)),
      String(protocol.failures),
      stateOf(protocol, now),
    ]
    const draining = index === 0 && state === 'draining' ? ['takes no new users'] : []
    return { cells, notes: [...draining, ...notesOf(protocol, now)] }
  })
}

const breakerWords = { closed: '', 'half-open': ', tried once', open: ', not tried' } as const

function stateOf({ state, since, breaker }: ProtocolStatus, now: number): string {
  const lasting = state === 'down' ? ` ${formatDuration(now - Date.parse(since))}` : ''
  return `${state}${lasting}${breakerWords[breaker ?? 'closed']}`
}

function notesOf({ state, last_error: error }: ProtocolStatus, now: number): string[] {
  if (error === undefined) return []
  const ageMs = Math.max(0, now - Date.parse(error.at))
  if (state !== 'down' && ageMs > newsMs) return []
  const words = `${formatDuration(ageMs)} ago, ${troubleOf(error)}`.split(' ')
  return wrapWords(words, ' ', noteChars)
}

const noteChars = 76

const workerColumns: readonly Column[] = [
  { title: 'WORKER' },
  { title: 'PID', align: 'right' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'REPLACED', align: 'right' },
  { title: 'UPTIME', align: 'right' },
  { title: 'STATE' },
]

function workerRow(worker: WorkerStatus): StatusRow {
  return row(
    worker.role === 'queue' ? `${worker.worker} (queue)` : String(worker.worker),
    String(worker.pid),
    String(worker.sessions),
    String(worker.restarts),
    formatDuration(worker.uptime_ms),
    worker.state,
  )
}

function row(...cells: readonly string[]): StatusRow {
  return { cells, notes: [] }
}
