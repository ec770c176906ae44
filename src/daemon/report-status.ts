/** What the daemon says of itself, from all that the supervisor knows. */
import type { LoginAlarmStatus, StatusReport } from '../control/messages.ts'
import type { BackendHealth } from './backend-health.ts'
import type { Counts } from './counters.ts'
import type { LoadedSettings } from './load-settings.ts'
import { numbersOf } from './status.ts'
import type { WorkerProcess } from './worker-process.ts'

export interface DaemonFacts {
  readonly version: string
  readonly startedAt: Date
  readonly isStopping: boolean
  readonly inForce: LoadedSettings
  readonly workers: readonly WorkerProcess[]
  /** Addresses at which metrics are served. */
  readonly metrics: readonly string[]
  readonly counts: Counts
  readonly lastMinute: Counts
  readonly health: BackendHealth
  readonly logDropped: number
  /** Users who are frozen. */
  readonly frozen: number
  readonly loginAlarm: LoginAlarmStatus | undefined
}

export function reportStatus(facts: DaemonFacts): StatusReport {
  const { settings, changes, users, builtAt } = facts.inForce
  const { workers, metrics, counts, lastMinute, health, frozen, loginAlarm } = facts
  const reports = workers.map(({ lastReport }) => lastReport)
  const spool = reports.findLast((report) => report.spool !== undefined)?.spool
  return {
    pid: process.pid,
    version: facts.version,
    started: facts.startedAt.toISOString(),
    uptime_ms: Math.round(process.uptime() * 1000),
    state: facts.isStopping ? 'stopping' : 'serving',
    config: settings.config.file,
    generation: Math.max(changes.generation, ...reports.map(({ generation }) => generation ?? 0)),
    map_built: new Date(builtAt).toISOString(),
    ...(users === undefined ? {} : { users }),
    ...(metrics.length === 0 ? {} : { metrics }),
    ...(spool === undefined ? {} : { spool }),
    ...(frozen === 0 ? {} : { frozen }),
    ...(loginAlarm === undefined ? {} : { login_alarm: loginAlarm }),
    ...numbersOf({
      settings,
      sessions: reports.flatMap((report) => report.sessions),
      counts,
      lastMinute,
      breakers: reports.flatMap(({ breakers }) => breakers),
      health,
    }),
    workers: workers.map((worker) => worker.status()),
    log_dropped: facts.logDropped,
  }
}
