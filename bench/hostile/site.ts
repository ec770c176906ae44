/** `mailmux serve` between those who mean harm and the stand-in back-end; its log is only counted. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { askDaemon } from '../../src/control/client.ts'
import type { StatusReport } from '../../src/control/messages.ts'
import { median } from '../rig/median.ts'
import { answering, endedWithUs, loadCpu, loading, proxyCpu, type Rig, stop } from '../rig/rig.ts'

const bin = new URL('../../bin/run.js', import.meta.url).pathname
const fewUsers = 1000
/** At least. */
export const usersOfFritz = 900

export interface SiteOptions {
  /** Lines of the config's `limits`. */
  readonly limits?: string
  /** Logins under way at the back-end at once. */
  readonly logins?: number
  readonly workers?: number
  /** user0, user1 and so on; 1,000 if not said. */
  readonly users?: number
  /** Where its back-end listens for IMAP, in the place of the stand-in. */
  readonly imapPort?: number
  /** Where another back-end, ingrid, listens for IMAP: of those users whose numbers are from 900 on. */
  readonly ingridPort?: number
  /** Besides the loopback address it listens there for IMAP. */
  readonly host?: string
  /** What its processes may have of memory, all together; a cgroup of version 1. */
  readonly memoryBytes?: number
}

export class Site implements AsyncDisposable {
  /** Lines of the log by event. */
  readonly counts = new Map<string, number>()
  readonly ports: Readonly<Record<'imap' | 'imaps' | 'pop3' | 'smtp' | 'sieve', number>>
  readonly #pids = new Set<number>()
  readonly #folder: string
  readonly #child: ChildProcess

  private constructor(rig: Rig, folder: string, child: ChildProcess) {
    this.ports = { ...rig.proxy, sieve: sievePort(rig) }
    this.#folder = folder
    this.#child = child
    if (child.stdout === null) throw new Error('no log')
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line))
  }

  static async start(rig: Rig, options: SiteOptions = {}): Promise<Site> {
    const folder = join(rig.folder, 'mailmux')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'mailmux.yaml'), configText(rig, options))
    const { users = fewUsers, ingridPort } = options
    const homeOf = (index: number): string =>
      ingridPort !== undefined && index >= usersOfFritz ? 'ingrid' : 'fritz'
    const lines = Array.from(
      { length: users },
      (_, index) => `user${index}@example.com ${homeOf(index)}\n`,
    )
    writeFileSync(join(folder, 'user_map'), lines.join(''))
    const config = ['--config', join(folder, 'mailmux.yaml')]
    execFileSync(process.execPath, [bin, 'build-map', ...config], { stdio: 'ignore' })
    const cpus = (options.workers ?? 1) === 1 ? proxyCpu : '0-1'
    const serve = ['taskset', '-c', cpus, process.execPath, bin, 'serve', ...config]
    const [program = '', ...args] = [...cgroupOf(options), ...serve]
    const child = endedWithUs(spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] }))
    const site = new Site(rig, folder, child)
    await answering(child, rig.proxy.imap)
    while (site.count('daemon.ready') === 0) await delay(20)
    return site
  }

  /** Lines of an event so far. */
  count(event: string): number {
    return this.counts.get(event) ?? 0
  }

  get lines(): number {
    return [...this.counts.values()].reduce((sum, count) => sum + count, 0)
  }

  status(): Promise<StatusReport> {
    return askDaemon(join(this.#folder, 'run'), 'status', 60_000)
  }

  /** What was refused of IMAP clients, by reason. */
  async refused(): Promise<Readonly<Record<string, number>>> {
    const { services } = await this.status()
    return services.find(({ service }) => service === 'imap')?.refused ?? {}
  }

  /** Of the workers, in MiB. */
  get residentMib(): number {
    const kib = [...this.#pids].map((pid) => {
      const status = readFileSync(`/proc/${pid}/status`, 'utf8')
      return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1])
    })
    return kib.reduce((sum, size) => sum + size, 0) / 1024
  }

  /** The middle of some runs of `goodP99`, after one that warms the daemon up. */
  async calmP99(): Promise<number> {
    await this.goodP99()
    return median([await this.goodP99(), await this.goodP99(), await this.goodP99()])
  }

  /** Logins by IMAP, four at once: the time that 99 of 100 take at most, in ms. */
  async goodP99(): Promise<number> {
    const to = ['-P', 'imap', '-p', `${this.ports.imap}`, '-u', `${usersOfFritz}`]
    const args = ['login', ...to, '-c', '4', '-n', '3000']
    const { p99_us: p99 = Number.NaN } = await loading(args)
    return p99 / 1000
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await stop(this.#child)
  }

  #read(text: string): void {
    let line: { readonly event?: string; readonly pid?: number }
    try {
      line = JSON.parse(text) as typeof line
    } catch {
      return
    }
    const { event = '', pid = 0 } = line
    this.counts.set(event, this.count(event) + 1)
    if (event === 'worker.started') this.#pids.add(pid)
    if (event === 'worker.exited') this.#pids.delete(pid)
  }
}

/** What the generator's own work costs is not to fall on the daemon. */
export function pinUs(): void {
  execFileSync('taskset', ['-acp', loadCpu, `${process.pid}`], { stdio: 'ignore' })
}

function sievePort(rig: Rig): number {
  return rig.proxy.smtp + 1
}

function configText(rig: Rig, options: SiteOptions): string {
  const { limits = '', logins = 500, workers = 1, imapPort, ingridPort, host } = options
  const { backend, proxy } = rig
  const ingrid =
    ingridPort === undefined ? '' : `\n  ingrid: {host: 127.0.0.1, imap: ${ingridPort}}`
  const further =
    host === undefined
      ? ''
      : `, {address: "${host}:${proxy.imap}", tls: none, auth_allow_cleartext: true}`
  const ports = `imap: ${imapPort ?? backend.imap}, pop3: ${backend.pop3}, smtp: ${backend.smtp}, sieve: 1`
  return `hostname: proxy.example
domains: [example.com]
client_names: none
probe_interval: 0s
backends:
  fritz: {host: 127.0.0.1, ${ports}, logins: ${logins}}${ingrid}
map: {user_map: user_map, database: map.db}
listen:
  imap: [{address: "127.0.0.1:${proxy.imap}", tls: none}, {address: "127.0.0.1:${proxy.imaps}", tls: implicit}${further}]
  pop3: [{address: "127.0.0.1:${proxy.pop3}", tls: none}]
  sieve: [{address: "127.0.0.1:${sievePort(rig)}", tls: none}]
  smtp: [{address: "127.0.0.1:${proxy.smtp}", tls: none}]
tls: {certificates: [{cert: ${rig.cert}, key: ${rig.key}}]}
limits: {${limits}}
workers: ${workers}
state_dir: .
run_dir: run
`
}

const memoryGroups = '/sys/fs/cgroup/memory'

/** A shell that puts itself into a group of its own, and becomes what follows. */
function cgroupOf({ memoryBytes }: SiteOptions): string[] {
  if (memoryBytes === undefined) return []
  const group = memoryGroup()
  mkdirSync(group, { recursive: true })
  writeFileSync(join(group, 'memory.limit_in_bytes'), `${memoryBytes}`)
  return ['sh', '-c', `echo $$ > ${group}/tasks && exec "$0" "$@"`]
}

export function memoryGroup(): string {
  return join(memoryGroups, `mailmux-bench-${process.pid}`)
}
