/** New workers in the place of all, while everybody is served. */
import { MailmuxError } from '../base/error.ts'
import type { Log } from '../base/log.ts'
import type { RestartReport } from '../control/session-messages.ts'
import type { WorkerPool } from './worker-pool.ts'

/** Those who are about to log in, or to hand over a message, have so long for it. */
const mostGraceMs = 30_000

interface Means {
  readonly pool: WorkerPool
  /** Of the first process. */
  readonly version: string
  readonly log: Log
}

/** Sessions may go on for `drainMs`. Throws RESTART_REFUSED; then nothing has changed. */
export async function restartWorkers(
  drainMs: number,
  { pool, version, log }: Means,
): Promise<RestartReport> {
  const before = new Set(pool.workers)
  const drain = { drainMs, patient: true, graceMs: Math.min(drainMs, mostGraceMs) }
  const problems = await pool.restart(drain, (worker) => refuseVersion(worker.version, version))
  if (problems.length > 0) {
    log('restart.refused', { problems })
    throw new MailmuxError('RESTART_REFUSED', problems.join('\n'))
  }
  await pool.refreshReports()
  const left = pool.workers.filter((worker) => before.has(worker))
  const report = {
    workers: pool.workers.filter(({ role, state }) => role === 'worker' && state === 'serving')
      .length,
    sessions: left.reduce((sum, worker) => sum + worker.status().sessions, 0),
  }
  log('restart.done', report)
  return report
}

/**
 * What processes say to each other may change with the second number of a version, and not with the
 * third.
 */
function refuseVersion(theirs: string, ours: string): string | undefined {
  if (release(theirs) === release(ours)) return undefined
  const installed = theirs === '' ? 'an older version' : `version ${theirs}`
  return (
    `${installed} is installed and version ${ours} runs: for that the daemon itself has to end ` +
    '(`mailmux drain`) and to be started anew'
  )
}

function release(version: string): string {
  return version.split('.', 2).join('.')
}
