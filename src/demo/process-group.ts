/** Ends what we started: a child that leads a process group (`detached: true`), and all of it. */
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

const patienceMs = 10_000

/**
 * Sends SIGTERM to the leader, waits until it has ended in its own order, at most 10 s, and kills what
 * is left of the group. Returns at once where the child was never there.
 */
export async function endGroup(child: ChildProcess): Promise<void> {
  const { pid } = child
  if (pid === undefined) return
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    const timer = new AbortController()
    await Promise.race([exited, sleep(patienceMs, undefined, timer).catch(() => undefined)])
    timer.abort()
  }
  try {
    process.kill(-pid, 'SIGKILL')
  } catch (error) {
    // The usual case: nobody is left.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}
