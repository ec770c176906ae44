/** A status report as tables for a person. */
import type { BackendStatus, ServiceStatus, StatusReport, WorkerStatus } from './messages.ts'

interface Column {
  readonly title: string
  readonly align?: 'left' | 'right'
}

export interface StatusTable {
  readonly columns: readonly Column[]
  readonly rows: readonly (readonly string[])[]
}

/** One line: what runs, since when, with which map. */
export function statusHeadline(report: StatusReport): string {
  const { version, state, pid, generation, config } = report
  const users = report.users === undefined ? '' : ` of ${report.users} users`
  const age = formatDuration(report.uptime_ms)
  return `mailmux ${version} ${state} for ${age}, pid ${pid}, map generation ${generation}${users}, ${config}`
}

export function statusTables(report: StatusReport): StatusTable[] {
  const tables = [
    { columns: serviceColumns, rows: report.services.map(serviceRow) },
    { columns: backendColumns, rows: report.backends.map(backendRow) },
    { columns: workerColumns, rows: report.workers.map(workerRow) },
  ]
  return tables.filter(({ rows }) => rows.length > 0)
}

const serviceColumns: readonly Column[] = [
  { title: 'SERVICE' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'TOTAL', align: 'right' },
  { title: 'OUTCOMES' },
  { title: 'REFUSED' },
  { title: 'LISTENERS' },
]

function serviceRow(service: ServiceStatus): string[] {
  return [
    service.service,
    String(service.sessions),
    String(service.sessions_total),
    formatCounts(service.logins ?? service.messages ?? {}),
    formatCounts(service.refused),
    service.listeners
      .map(({ address, tls }) => (tls === 'none' ? address : `${address} ${tls}`))
      .join(', '),
  ]
}

const backendColumns: readonly Column[] = [
  { title: 'BACK-END' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'ERRORS' },
]

function backendRow({ backend, sessions, errors }: BackendStatus): string[] {
  const counts = errors.map(({ step, reason, count }): [string, number] => [
    `${step} ${reason}`,
    count,
  ])
  return [backend, String(sessions), formatCounts(Object.fromEntries(counts))]
}

const workerColumns: readonly Column[] = [
  { title: 'WORKER' },
  { title: 'PID', align: 'right' },
  { title: 'SESSIONS', align: 'right' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'UPTIME', align: 'right' },
  { title: 'STATE' },
]

function workerRow(worker: WorkerStatus): string[] {
  return [
    worker.role === 'queue' ? `${worker.worker} (queue)` : String(worker.worker),
    String(worker.pid),
    String(worker.sessions),
    String(worker.restarts),
    formatDuration(worker.uptime_ms),
    worker.state,
  ]
}

function formatCounts(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).map(([name, count]) => `${name} ${count}`)
  return parts.length === 0 ? '-' : parts.join(', ')
}

/** The two largest units: `3d 4h`, `5m 10s`, `7s`. */
export function formatDuration(durationMs: number): string {
  let rest = Math.floor(durationMs / 1000)
  const parts: string[] = []
  for (const [unit, seconds] of units) {
    const amount = Math.floor(rest / seconds)
    rest -= amount * seconds
    if (amount > 0 || parts.length > 0) parts.push(`${amount}${unit}`)
  }
  return parts.slice(0, 2).join(' ') || '0s'
}

const units = [
  ['d', 86_400],
  ['h', 3_600],
  ['m', 60],
  ['s', 1],
] as const
