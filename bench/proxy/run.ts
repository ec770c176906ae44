/**
 * mailmux beside nginx's mail proxy on this machine, in one run: A B A B …, and the median of the
 * pairwise ratios with their range. Figures of one machine say nothing about another; ratios do.
 *
 *   node bench/proxy/run.ts [--pairs N] [--scale F] [--sessions N] [WORKLOAD…]
 */
import { parseArgs } from 'node:util'
import { setTimeout as delay } from 'node:timers/promises'
import { median } from '../rig/median.ts'
import { holdSessions, load, openRig, type Ports, type Rig, stop, useOf } from '../rig/rig.ts'
import { measureMany } from './many.ts'
import { measureSlowReaders } from './slow-readers.ts'
import { dovecot, mailmux, nginx, nginxLarge, type Target } from './targets.ts'

interface Workload {
  readonly what: string
  /** Unit of the figure; less is better for all of them. */
  readonly unit: string
  readonly peer: Target
  measure(rig: Rig, pid: number, scale: number): Promise<number>
}

/** `at`: where clients come to, and `how`: what the generator speaks there. */
function logins(what: string, at: keyof Ports, how: readonly string[], count: number): Workload {
  const measure: Workload['measure'] = async (rig, pid, scale) => {
    const args = ['login', ...how, '-p', `${rig.proxy[at]}`, '-c', '50']
    // Three times as many before: a daemon runs for months, and compiles what it runs often.
    load([...args, '-n', `${Math.ceil(3 * count * scale)}`])
    const before = useOf(pid).cpu_us
    const { done = 0 } = load([...args, '-n', `${Math.ceil(count * scale)}`])
    return (useOf(pid).cpu_us - before) / done
  }
  return { what, unit: 'CPU µs', peer: nginx, measure }
}

/**
 * What the proxy adds to the time of one login, or of a NOOP within a session, with nobody beside;
 * where clients speak TLS, all that this costs, since the back-end is asked without.
 */
function addedTime(
  mode: 'login' | 'noop',
  percentile: 'p50_us' | 'p99_us',
  tls = false,
): Workload['measure'] {
  const args = (port: number): string[] => [mode, '-P', 'imap', '-p', `${port}`, '-c', '1']
  return (rig, _pid, scale) => {
    const proxy = tls ? [...args(rig.proxy.imaps), '-t'] : args(rig.proxy.imap)
    // nginx takes 44 ms for each login over TLS, and the generator gives up after two minutes.
    const count = Math.ceil((tls && mode === 'login' ? 600 : 10_000) * scale)
    load([...proxy, '-n', `${3 * count}`])
    const through = load([...proxy, '-n', `${count}`])
    const direct = load([...args(rig.backend.imap), '-n', `${count}`])
    return Promise.resolve((through[percentile] ?? 0) - (direct[percentile] ?? 0))
  }
}

function addedTimes(tls: boolean): Readonly<Record<string, Workload>> {
  const found: Record<string, Workload> = {}
  for (const mode of ['login', 'noop'] as const) {
    for (const percentile of ['p50_us', 'p99_us'] as const) {
      const name = percentile.slice(0, 3)
      found[`added-${mode}-${name}${tls ? '-tls' : ''}`] = {
        what: `${mode === 'login' ? 'IMAP login' : 'NOOP'}${tls ? ', TLS' : ''}, added, ${name}`,
        unit: 'µs',
        peer: nginx,
        measure: addedTime(mode, percentile, tls),
      }
    }
  }
  return found
}

function bulkCost(
  tls: boolean,
  connections: number,
  mebibytes: number,
  mode: 'fetch' | 'append' = 'fetch',
): Workload['measure'] {
  return async (rig, pid, scale) => {
    const port = tls ? rig.proxy.imaps : rig.proxy.imap
    const args = [
      mode,
      '-P',
      'imap',
      '-p',
      `${port}`,
      '-c',
      `${connections}`,
      ...(tls ? ['-t'] : []),
    ]
    load([...args, '-m', '128'])
    const before = useOf(pid).cpu_us
    const amount = Math.ceil(mebibytes * scale)
    load([...args, '-m', `${amount}`])
    return ((useOf(pid).cpu_us - before) / 1e6 / amount) * 1024
  }
}

function idleMemory(tls: boolean, count: number): Workload['measure'] {
  return async (rig, pid, scale) => {
    const port = tls ? rig.proxy.imaps : rig.proxy.imap
    const sessions = Math.ceil(count * scale)
    const args = ['idle', '-P', 'imap', '-p', `${port}`, '-c', '100', '-n', `${sessions}`]
    const before = useOf(pid).pss_kb
    const settled = async (): Promise<number> => {
      // A worker gives back what the logins have left when it has been quiet for a while.
      await delay(60_000)
      return useOf(pid).pss_kb
    }
    return ((await holdSessions([...args, ...(tls ? ['-t'] : [])], settled)) - before) / sessions
  }
}

const workloads: Readonly<Record<string, Workload>> = {
  'login-plain': logins('IMAP login', 'imap', ['-P', 'imap'], 20_000),
  'login-tls': logins('IMAP login, TLS 1.3', 'imaps', ['-P', 'imap', '-t'], 5000),
  'login-pop3': logins('POP3 login', 'pop3', ['-P', 'pop3'], 20_000),
  'login-pop3-tls': logins('POP3 login, TLS 1.3', 'pop3s', ['-P', 'pop3', '-t'], 5000),
  'login-submission': logins('submission login', 'submission', ['-P', 'smtp'], 20_000),
  'login-sieve': {
    ...logins('ManageSieve login', 'sieve', ['-P', 'sieve'], 10_000),
    peer: dovecot,
  },
  'bulk-plain': {
    what: 'FETCH, 8 connections',
    unit: 'CPU s/GiB',
    peer: nginx,
    measure: bulkCost(false, 8, 3072),
  },
  'bulk-plain-64k': {
    what: 'FETCH, 8 connections',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(false, 8, 3072),
  },
  'bulk-tls-64k': {
    what: 'FETCH, 8 conn., TLS',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(true, 8, 1024),
  },
  'bulk-1-plain-64k': {
    what: 'FETCH, 1 connection',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(false, 1, 3072),
  },
  'bulk-1-tls-64k': {
    what: 'FETCH, 1 conn., TLS',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(true, 1, 1024),
  },
  'append-plain-64k': {
    what: 'APPEND, 8 conn.',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(false, 8, 3072, 'append'),
  },
  'append-tls-64k': {
    what: 'APPEND, 8 conn., TLS',
    unit: 'CPU s/GiB',
    peer: nginxLarge,
    measure: bulkCost(true, 8, 1024, 'append'),
  },
  ...addedTimes(false),
  ...addedTimes(true),
  'idle-plain': {
    what: 'idle session',
    unit: 'KiB',
    peer: nginx,
    measure: idleMemory(false, 4000),
  },
  'idle-tls': {
    what: 'idle session, TLS',
    unit: 'KiB',
    peer: nginx,
    measure: idleMemory(true, 2000),
  },
}

async function measureOnce(target: Target, workload: Workload, scale: number): Promise<number> {
  await using rig = await openRig()
  const child = await target.start(rig)
  try {
    return await workload.measure(rig, child.pid ?? 0, scale)
  } finally {
    await stop(child)
  }
}

async function compare(name: string, pairs: number, scale: number): Promise<void> {
  const workload = workloads[name]
  if (workload === undefined)
    throw new Error(`no such workload: ${name}; known: ${known.join(' ')}`)
  const ours: number[] = []
  const theirs: number[] = []
  for (let pair = 0; pair < pairs; pair++) {
    ours.push(await measureOnce(mailmux, workload, scale))
    theirs.push(await measureOnce(workload.peer, workload, scale))
  }
  const ratios = ours.map((value, index) => value / (theirs[index] ?? Number.NaN))
  const columns = [
    name.padEnd(20),
    workload.what.padEnd(28),
    `${figure(median(ours))} ${workload.unit}`.padEnd(16),
    `${workload.peer.name} ${figure(median(theirs))}`.padEnd(18),
    `ratio ${median(ratios).toFixed(2)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`,
  ]
  process.stdout.write(`${columns.join('')}\n`)
}

function figure(value: number): string {
  return String(Number(value.toPrecision(3)))
}

const { values, positionals } = parseArgs({
  options: {
    pairs: { type: 'string', default: '5' },
    scale: { type: 'string', default: '1' },
    sessions: { type: 'string', default: '18000' },
  },
  allowPositionals: true,
})
const known = [...Object.keys(workloads), 'many-plain', 'many-tls', 'slow-readers']
const names = positionals.length === 0 ? known : positionals
process.stdout.write(
  `mailmux beside its peers, ${values.pairs} pairs each, median; less is better\n`,
)
const say = (line: string): void => void process.stdout.write(`${line}\n`)
for (const name of names) {
  if (name === 'slow-readers') await measureSlowReaders(say)
  else if (name === 'many-plain' || name === 'many-tls') {
    const many = { sessions: Number(values.sessions), tls: name === 'many-tls' }
    await measureMany(many, say)
  } else await compare(name, Number(values.pairs), Number(values.scale))
}
