/** A daemon that is asked to end, and watched until it has. */
import { setTimeout as delay } from 'node:timers/promises'
import { MailmuxError } from '../base/error.ts'
import { askDaemon } from './client.ts'
import type { DrainReport } from './session-messages.ts'

const patienceMs = 10_000
const lookEveryMs = 500

/** Takes no more clients from now on; returns at once. Throws what askDaemon throws. */
export function drainDaemon(runDir: string, withinMs: number): Promise<DrainReport> {
  return askDaemon(runDir, 'drain', patienceMs, { details: { within_ms: withinMs } })
}

/** The sessions that are left, whenever their number changes; ends when the daemon has. */
export async function* sessionsLeft(
  runDir: string,
  pid: number,
): AsyncGenerator<number, void, undefined> {
  for (let before = -1; ; await delay(lookEveryMs)) {
    const left = await countSessions(runDir, pid)
    if (left === undefined) return
    if (left !== before) yield left
    before = left
  }
}

/** Undefined where that daemon does not answer any more; another may have come in its place. */
async function countSessions(runDir: string, pid: number): Promise<number | undefined> {
  try {
    const { services, pid: answering } = await askDaemon(runDir, 'status', patienceMs)
    return answering !== pid ? undefined : services.reduce((sum, { sessions }) => sum + sessions, 0)
  } catch (error) {
    if (error instanceof MailmuxError && error.code === 'DAEMON_UNREACHABLE') return undefined
    throw error
  }
}
