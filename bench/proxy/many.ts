/**
 * Idle sessions, as many as descriptors carry: what they hold of memory, whether others
 * still log in, and what the list of them costs. No peer: nginx needs other limits for so many.
 */
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { whoIsThere } from '../../src/control/who.ts'
import { median } from '../rig/median.ts'
import { holdSessions, loading, openRig, stop, useOf } from '../rig/rig.ts'
import { startMailmux } from './targets.ts'

/** Two descriptors each; a process of most systems has 20,000. */
const sessionsPerWorker = 9_000
const settledMs = 60_000
const lists = 5

interface Listed {
  readonly ms: number
  readonly cpuMs: number
}

/** Of the first process and the workers. */
async function list(pid: number, runDir: string, count: number): Promise<Listed> {
  const [before, startedAt] = [useOf(pid).cpu_us, performance.now()]
  const { sessions, silent } = await whoIsThere(runDir, {})
  const ms = performance.now() - startedAt
  if (sessions.length !== count || silent.length > 0) {
    throw new Error(`${sessions.length} sessions of ${count} in the list`)
  }
  return { ms, cpuMs: (useOf(pid).cpu_us - before) / 1000 }
}

export async function measureMany(
  { sessions, tls }: { readonly sessions: number; readonly tls: boolean },
  say: (line: string) => void,
): Promise<void> {
  const workers = Math.max(2, Math.ceil(sessions / sessionsPerWorker))
  await using rig = await openRig()
  const child = await startMailmux(rig, workers)
  const pid = child.pid ?? 0
  const port = `${tls ? rig.proxy.imaps : rig.proxy.imap}`
  const to = ['-P', 'imap', '-p', port, ...(tls ? ['-t'] : [])]
  const logIn = async (): Promise<number> => {
    const { p99_us: p99 = 0 } = await loading(['login', ...to, '-c', '10', '-n', '2000'])
    return p99 / 1000
  }
  try {
    // As the sessions of other workloads are counted: with what their logins leave behind.
    const fresh = useOf(pid).pss_kb
    await logIn()
    const [calm, before, startedAt] = [await logIn(), useOf(pid).cpu_us, performance.now()]
    const idle = ['idle', ...to, '-c', '100', '-n', `${sessions}`, '-e', '300']
    await holdSessions(idle, async () => {
      const openedSeconds = (performance.now() - startedAt) / 1000
      const burst = useOf(pid)
      await delay(settledMs)
      const settled = useOf(pid)
      const each = (kib: number): string => ((kib - fresh) / sessions).toFixed(1)
      const all = (settled.pss_kb / 1024).toFixed(0)
      const cpu = (burst.cpu_us - before) / sessions
      say(`${sessions} idle IMAP sessions${tls ? ' over TLS' : ''}, ${workers} workers`)
      say(`  opened in ${openedSeconds.toFixed(0)} s, ${cpu.toFixed(0)} CPU µs each`)
      say(
        `  ${each(settled.pss_kb)} KiB each, ${all} MiB in all (PSS); ${each(burst.pss_kb)} at once`,
      )
      const listed: Listed[] = []
      const runDir = join(rig.folder, 'mailmux')
      for (let time = 0; time < lists; time++) listed.push(await list(pid, runDir, sessions))
      const ms = median(listed.map((of) => of.ms)).toFixed(0)
      const cpuMs = median(listed.map((of) => of.cpuMs)).toFixed(0)
      say(`  list of them: ${ms} ms, ${cpuMs} ms of the daemon's CPU (median of ${lists})`)
      say(
        `  p99 of logins: ${calm.toFixed(1)} ms before, ${(await logIn()).toFixed(1)} ms beside them`,
      )
    })
  } finally {
    await stop(child)
  }
}
