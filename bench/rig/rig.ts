/**
 * The load generator and the stand-in back-end (C, far faster than any proxy), built on first use,
 * and the counting of CPU time and memory of a process tree. Linux only. Loopback only.
 */
import { execFileSync, type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'

const sources = new URL('.', import.meta.url).pathname
const built = join(tmpdir(), `mailmux-rig-${process.getuid?.() ?? 0}`)

/** The proxy has one processor to itself, load and back-end share the other. */
export const proxyCpu = '0'
export const loadCpu = '1'

export interface Ports {
  readonly imap: number
  readonly imaps: number
  readonly pop3: number
  readonly pop3s: number
  readonly smtp: number
  readonly submission: number
  readonly sieve: number
}

export interface Rig extends AsyncDisposable {
  readonly folder: string
  readonly cert: string
  readonly key: string
  /** Where the stand-in back-end listens. */
  readonly backend: {
    readonly imap: number
    readonly pop3: number
    readonly smtp: number
    readonly sieve: number
    readonly http: number
    readonly pid: number
  }
  /** Where the proxy under test is to listen. */
  readonly proxy: Ports
}

export interface TreeUse {
  /** Microseconds of processor time, ended children included. */
  readonly cpu_us: number
  readonly pss_kb: number
  readonly rss_kb: number
}

export async function openRig(): Promise<Rig> {
  mkdirSync(built, { recursive: true })
  execFileSync('make', ['-s', '-C', sources, `OUT=${built}`], { stdio: 'inherit' })
  const cert = join(built, 'cert.pem')
  const key = join(built, 'key.pem')
  if (!existsSync(cert)) makeCertificate(cert, key)
  const folder = mkdtempSync(join(tmpdir(), 'mailmux-bench-'))
  const base = 20_000 + Math.floor(Math.random() * 400) * 30
  const [imap, pop3, smtp, lmtp, http, sieve] = [
    base,
    base + 1,
    base + 2,
    base + 3,
    base + 4,
    base + 5,
  ]
  const backend = { imap, pop3, smtp, sieve, http }
  const mailbox = { imap: base + 10, imaps: base + 11, pop3: base + 12, pop3s: base + 20 }
  const proxy = { ...mailbox, smtp: base + 14, submission: base + 21, sieve: base + 22 }
  const ports = { i: imap, p: pop3, s: smtp, l: lmtp, m: sieve, a: http }
  const args = Object.entries(ports).flatMap(([flag, port]) => [`-${flag}`, `${port}`])
  const child = startPinned(loadCpu, join(built, 'backend'), args)
  await waitForPort(backend.http)
  return {
    folder,
    cert,
    key,
    // taskset becomes the program that it starts.
    backend: { ...backend, pid: child.pid ?? 0 },
    proxy,
    async [Symbol.asyncDispose]() {
      await stop(child)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function makeCertificate(cert: string, key: string): void {
  const options = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-days',
    '3650',
  ]
  const names = ['-subj', '/CN=proxy.example', '-keyout', key, '-out', cert]
  execFileSync('openssl', ['req', '-x509', ...options, ...names], { stdio: 'ignore' })
}

/** Starts a program on one processor; its output goes to our stderr where `loud`. */
export function startPinned(cpu: string, program: string, args: readonly string[]): ChildProcess {
  const stdio = ['pipe', 'ignore', 'inherit'] as const
  return endedWithUs(spawn('taskset', ['-c', cpu, program, ...args], { stdio: [...stdio] }))
}

/** It does not outlive this process. */
export function endedWithUs<T extends ChildProcess>(child: T): T {
  running.add(child)
  child.once('exit', () => running.delete(child))
  return child
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill()
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of running) child.kill()
    process.exit(130)
  })
}

/** Waits until it greets; ends it where it does not. An open port may be a trial of who listens. */
export async function answering(child: ChildProcess, port: number): Promise<ChildProcess> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const { promise, resolve } = Promise.withResolvers<boolean>()
    socket.once('data', () => resolve(true)).once('close', () => resolve(false))
    socket.on('error', () => undefined).setTimeout(2000, () => resolve(false))
    const hasGreeted = await promise
    socket.destroy()
    if (hasGreeted) return child
    await delay(50)
  }
  await stop(child)
  throw new Error(`nothing greets on port ${port}`)
}

export async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const forced = setTimeout(() => child.kill('SIGKILL'), 5000)
  await once(child, 'exit')
  clearTimeout(forced)
}

export async function waitForPort(port: number): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    const socket = connect(port, '127.0.0.1')
    const open = await Promise.race([
      once(socket, 'connect').then(() => true),
      once(socket, 'error').then(() => false),
    ]).catch(() => false)
    socket.destroy()
    if (open) return
    await delay(50)
  }
  throw new Error(`nothing answers on port ${port}`)
}

export function useOf(pid: number): TreeUse {
  return JSON.parse(
    execFileSync(join(built, 'treestat'), [`${pid}`], { encoding: 'utf8' }),
  ) as TreeUse
}

/** One run of the generator to its end; its report. */
export function load(args: readonly string[]): Readonly<Record<string, number>> {
  const command = ['-c', loadCpu, join(built, 'loadgen'), ...args]
  // Its exit code says no more than its report does.
  const { stdout: text } = spawnSync('taskset', command, { encoding: 'utf8' })
  const report = JSON.parse(text) as Record<string, number>
  if ((report['errors'] ?? 0) > 0) throw new Error(`the load met errors: ${text}`)
  return report
}

/** The same, told when it has ended; also of another generator. */
export async function loading(
  args: readonly string[],
  program: 'loadgen' | 'garbage' = 'loadgen',
): Promise<Readonly<Record<string, number>>> {
  const command = ['-c', loadCpu, join(built, program), ...args]
  const child = endedWithUs(spawn('taskset', command, { stdio: ['ignore', 'pipe', 'inherit'] }))
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString()
  })
  await once(child, 'close')
  const report = JSON.parse(text) as Record<string, number>
  if ((report['errors'] ?? 0) > 0) throw new Error(`the load met errors: ${text}`)
  return report
}

/** How many messages the stand-in back-end has taken. */
export async function storedAt(rig: Rig): Promise<number> {
  const answer = await fetch(`http://127.0.0.1:${rig.backend.http}/stats`)
  return ((await answer.json()) as { readonly messages: number }).messages
}

/** Opens sessions and holds them while `measure` looks; ends them then. */
export async function holdSessions<T>(
  args: readonly string[],
  measure: () => Promise<T>,
): Promise<T> {
  const child = spawn('taskset', ['-c', loadCpu, join(built, 'loadgen'), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  try {
    let said = ''
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.includes('READY')) return await measure()
      said = line
    }
    throw new Error(`the generator could not open its sessions: ${said}`)
  } finally {
    await stop(child)
  }
}
