/** The processes of a ledger run: back-ends and `mailmux serve`, each ended by its own id. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { type BackendRole, backends, domain, mapSources } from './cast.ts'

const bin = new URL('../../bin/run.js', import.meta.url).pathname
const backendProgram = new URL('./backend.ts', import.meta.url).pathname
const patienceMs = 60_000
const drainMs = 240_000

/** A line of the log. */
export type Logged = { readonly event: string } & Readonly<Record<string, unknown>>

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return address !== null && typeof address === 'object' ? address.port : 0
}

/** A back-end that can be killed, held and started again; its record stays. */
export class RecordingBackend {
  readonly role: BackendRole
  readonly file: string
  readonly port: number
  #child: ChildProcess | undefined

  constructor(role: BackendRole, port: number, folder: string) {
    this.role = role
    this.port = port
    this.file = join(folder, `${role.name}.record`)
    writeFileSync(this.file, '')
    this.start()
  }

  start(): void {
    if (this.isRunning) return
    const args = [backendProgram, this.role.protocol, `${this.port}`, this.file]
    this.#child = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
  }

  get isRunning(): boolean {
    return this.#child?.exitCode === null && this.#child.signalCode === null
  }

  signal(signal: NodeJS.Signals): void {
    if (this.isRunning) this.#child?.kill(signal)
  }
}

export interface SiteOptions {
  readonly folder: string
  readonly ports: { readonly smtp: number; readonly lmtp: number }
  readonly backendPorts: readonly number[]
  /** An IMAP proxy beside the relay, and the back-end of its users: user0, user1 and so on. */
  readonly imap?: { readonly port: number; readonly backendPort: number; readonly users: number }
}

/** Writes sources and config, and builds the map. */
export function layOut(options: SiteOptions): void {
  mkdirSync(options.folder, { recursive: true })
  const { users, aliases } = mapSources()
  const proxied = Array.from({ length: options.imap?.users ?? 0 }, (_, at) => `user${at} fritz\n`)
  writeFileSync(join(options.folder, 'user_map'), users + proxied.join(''))
  writeFileSync(join(options.folder, 'aliases'), aliases)
  writeConfig(options, 'answer')
  execFileSync(process.execPath, [bin, 'build-map', ...configOf(options)], { stdio: 'ignore' })
}

/** With the one policy or the other for back-ends that are down. */
export function writeConfig(
  { folder, ports, backendPorts, imap }: SiteOptions,
  onBackendDown: 'answer' | 'spool',
): void {
  const retrieval = imap === undefined ? '' : `, imap: ${imap.backendPort}`
  const proxy = imap === undefined ? '' : `, imap: ["127.0.0.1:${imap.port}"]`
  const places = backends.map(
    ({ name, protocol }, at) =>
      `  ${name}: {host: 127.0.0.1, ${protocol}: ${backendPorts[at]}, connections: 40${at === 0 ? retrieval : ''}}\n`,
  )
  writeFileSync(
    join(folder, 'mailmux.yaml'),
    `hostname: mx.example.com
domains: [${domain}]
backends:
${places.join('')}map: {user_map: user_map, aliases: aliases, database: map.db}
listen: {smtp: ["127.0.0.1:${ports.smtp}"], lmtp: ["127.0.0.1:${ports.lmtp}"]${proxy}}
client_names: none
limits: {login_timeout: 3s, command_timeout: 10s, data_timeout: 2s, drain_timeout: 5s}
on_backend_down: ${onBackendDown}
workers: 2
state_dir: state
run_dir: run
`,
  )
}

function configOf({ folder }: SiteOptions): string[] {
  return ['--config', join(folder, 'mailmux.yaml')]
}

/** A command of mailmux; what it says on stdout. */
export function command(options: SiteOptions, ...args: readonly string[]): string {
  const all = [bin, ...args, ...configOf(options)]
  return execFileSync(process.execPath, all, { encoding: 'utf8', timeout: patienceMs })
}

/** Puts new workers in the place of all; false where one of them did not come to serve. */
export async function restart(options: SiteOptions, within = '1s'): Promise<boolean> {
  const all = [bin, 'restart', '--within', within, ...configOf(options)]
  const child = spawn(process.execPath, all, { stdio: 'ignore' })
  const [code] = (await once(child, 'exit')) as unknown[]
  return code === 0
}

/** Files of messages that wait, or have been begun. */
export function inSpool({ folder }: SiteOptions): string[] {
  const names = readdirSync(join(folder, 'state', 'spool'))
  return names.filter((name) => /\.msg$|^tmp\./.test(name))
}

/** Everything that waits is tried, again and again. */
export async function emptySpool(options: SiteOptions): Promise<void> {
  const due = performance.now() + drainMs
  while (inSpool(options).some((name) => name.endsWith('.msg')) && performance.now() < due) {
    command(options, 'queue', 'retry', '--all')
    await delay(1_000)
  }
}

/** The outcome of a run; where it is not good, what it has left behind stays, and is named. */
export async function keptUnlessGood(
  folder: string,
  run: () => Promise<boolean>,
): Promise<boolean> {
  let isGood = false
  try {
    isGood = await run()
  } finally {
    if (isGood) rmSync(folder, { recursive: true })
    else process.stdout.write(`kept: ${folder}\n`)
  }
  return isGood
}

/** One life of the daemon. */
export class Life {
  /** Ids of the processes that do something now, by the number of the worker. */
  readonly workers = new Map<number, number>()
  readonly queues = new Map<number, number>()
  readonly exited: Promise<unknown>
  readonly #child: ChildProcess
  readonly #heard: (line: Logged, life: Life) => void
  readonly #firsts = new Map<string, PromiseWithResolvers<void>>()
  #queueNumbers = new Set<number>()

  private constructor(options: SiteOptions, heard: (line: Logged, life: Life) => void) {
    this.#heard = heard
    this.#child = spawn(process.execPath, [bin, 'serve', ...configOf(options)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    this.exited = once(this.#child, 'exit')
    if (this.#child.stdout === null) throw new Error('no log')
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#read(line))
  }

  /** Starts it; tries again while ports and spool are still in the hands of the one before. */
  static async begin(
    options: SiteOptions,
    heard: (line: Logged, life: Life) => void,
  ): Promise<Life> {
    for (let attempt = 1; ; attempt++) {
      const life = new Life(options, heard)
      const isReady = life.first('daemon.ready').then(() => true)
      if (await Promise.race([isReady, life.exited.then(() => false)])) return life
      if (attempt === 50) throw new Error('mailmux serve does not start')
      await delay(200)
    }
  }

  /** Whether that worker is, or was, the queue. */
  isQueue(worker: unknown): boolean {
    return this.#queueNumbers.has(Number(worker))
  }

  /** Resolves at the first event of that name, or at once where it has come. */
  first(event: string): Promise<void> {
    return this.#firstOf(event).promise
  }

  #firstOf(event: string): PromiseWithResolvers<void> {
    const known = this.#firsts.get(event) ?? Promise.withResolvers<void>()
    this.#firsts.set(event, known)
    return known
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  #read(text: string): void {
    let line: Logged
    try {
      line = JSON.parse(text) as Logged
    } catch {
      // The process that wrote it was killed meanwhile.
      return
    }
    const [worker, pid] = [Number(line['worker']), Number(line['pid'])]
    if (line.event === 'worker.started') this.workers.set(worker, pid)
    if (line.event === 'queue.started') {
      this.queues.set(worker, pid)
      this.#queueNumbers.add(worker)
    }
    if (line.event === 'worker.exited') {
      this.workers.delete(worker)
      this.queues.delete(worker)
    }
    this.#heard(line, this)
    this.#firstOf(line.event).resolve()
  }
}
