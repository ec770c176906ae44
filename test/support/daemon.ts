/**
 * A running `mailmux serve` for tests: its own process with its workers, its log as events to wait
 * for, the ports that it got. Ended by its own pid, workers with it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import type { EventFields, EventName } from '../../src/base/log.ts'
import type { Service } from '../../src/config/config.ts'
import { loadConfig } from '../../src/config/load.ts'
import { askDaemon } from '../../src/control/client.ts'
import type { StatusReport } from '../../src/control/messages.ts'
import { buildMap } from '../../src/map/build.ts'
import { bin, type CommandResult, runCommand, sourceBin } from './command.ts'
import type { TempDir } from './temp-dir.ts'

const patience = 20_000

export interface DaemonOptions {
  readonly dir: TempDir
  /** Text of mailmux.yaml; `run_dir` and `state_dir` are added. Ports should be 0. */
  readonly config: string
  /** What to serve; all by default. */
  readonly services?: readonly Service[]
  /** Run src/ also where a build is what is tested: its modules are seen one by one. */
  readonly fromSource?: boolean
  /** Another program than `mailmux serve`; is given the config file and the services. */
  readonly program?: string
  readonly env?: Readonly<Record<string, string>>
  readonly cwd?: string
  /** The most descriptors that each of its processes may have. */
  readonly openFiles?: number
  /** A command that runs it in its own place; its pid stays that of the daemon. */
  readonly under?: readonly string[]
}

/** A line of the log. */
export type LoggedEvent = {
  readonly event: EventName
  readonly level: string
  readonly time: string
  /** Absent in lines of the supervisor, but for events about a worker. */
  readonly worker?: number
} & Readonly<Record<string, unknown>>

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
  readonly stderr: string
}

/** Writes the config and starts the daemon; returns when it is ready, throws when it ends instead. */
export async function startDaemon(options: DaemonOptions): Promise<Daemon> {
  const daemon = launchDaemon(options)
  try {
    await daemon.waitFor('daemon.ready')
  } catch (error) {
    await daemon[Symbol.asyncDispose]()
    throw error
  }
  return daemon
}

/** Starts the daemon without waiting: for starts that fail. */
export function launchDaemon(options: DaemonOptions): Daemon {
  const { dir, services = [], program, env, cwd, fromSource = false, under = [] } = options
  const file = writeConfig(dir, options.config)
  const args =
    program === undefined
      ? [fromSource ? sourceBin : bin, 'serve', '--config', file]
      : [program, file]
  const command = [...under, process.execPath, ...args, ...services]
  const limited =
    options.openFiles === undefined
      ? command
      : ['/bin/sh', '-c', `ulimit -n ${options.openFiles} && exec "$0" "$@"`, ...command]
  const child = spawn(limited[0] ?? '', limited.slice(1), {
    env: { ...process.env, MAILMUX_CONFIG: '', NO_COLOR: '1', NODE_TEST_CONTEXT: '', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    ...(cwd === undefined ? {} : { cwd }),
  })
  return new Daemon(child, dir, file)
}

/** Writes mailmux.yaml into the folder; returns its name. */
export function writeConfig(dir: TempDir, text: string): string {
  const file = dir.join('mailmux.yaml')
  writeFileSync(file, `run_dir: run\nstate_dir: state\n${text}`)
  return file
}

/** Writes mailmux.yaml into the folder, and builds the map that it names. */
export async function buildMapOf(dir: TempDir, text: string): Promise<void> {
  await buildMap((await loadConfig(writeConfig(dir, text))).config)
}

export class Daemon implements AsyncDisposable {
  readonly events: LoggedEvent[] = []
  /** Lines on stdout that are no events: there should be none. */
  readonly strayLines: string[] = []
  readonly configFile: string
  readonly dir: TempDir
  readonly exited: Promise<Exit>
  stderr = ''
  readonly #child: ChildProcess
  readonly #changes = new EventEmitter()
  #exit: Exit | undefined

  constructor(child: ChildProcess, dir: TempDir, configFile: string) {
    this.#child = child
    this.dir = dir
    this.configFile = configFile
    this.#changes.setMaxListeners(0)
    assert(child.stdout !== null && child.stderr !== null)
    child.stderr.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
      this.#changes.emit('change')
    })
    createInterface({ input: child.stdout }).on('line', (line) => this.#read(line))
    this.exited = once(child, 'close').then(([code, signal]: unknown[]) => {
      this.#exit = {
        code: code as number | null,
        signal: signal as string | null,
        stderr: this.stderr,
      }
      this.#changes.emit('change')
      return this.#exit
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Ports by service, as the newest settings have them. */
  get ports(): Readonly<Record<Service, readonly number[]>> {
    const newest = this.events.findLast(
      ({ event }) => event === 'daemon.ready' || event === 'reload.done',
    )
    const listeners = (newest?.['listeners'] ?? []) as readonly string[]
    const portsOf = (service: Service): number[] =>
      listeners
        .filter((listener) => listener.startsWith(`${service} `))
        .map((listener) => Number(/:(\d+)$/.exec(listener)?.[1]))
    return {
      smtp: portsOf('smtp'),
      lmtp: portsOf('lmtp'),
      imap: portsOf('imap'),
      pop3: portsOf('pop3'),
      sieve: portsOf('sieve'),
      submission: portsOf('submission'),
    }
  }

  /** The first port of a service. */
  port(service: Service): number {
    const [port] = this.ports[service]
    assert(port !== undefined, `the daemon does not listen for ${service}`)
    return port
  }

  eventsOf<Name extends EventName>(name: Name): (LoggedEvent & EventFields[Name])[] {
    return this.events.filter((line) => line.event === name) as (LoggedEvent & EventFields[Name])[]
  }

  /** Waits for the `count`th event of a name, from the start of the daemon on. */
  async waitFor<Name extends EventName>(
    name: Name,
    count = 1,
  ): Promise<LoggedEvent & EventFields[Name]> {
    const signal = AbortSignal.timeout(patience)
    for (;;) {
      const found = this.eventsOf(name)[count - 1]
      if (found !== undefined) return found
      if (this.#exit !== undefined) throw this.#failure(`ended before event ${count} of ${name}`)
      await once(this.#changes, 'change', { signal }).catch((error: unknown) => {
        throw this.#failure(`timed out waiting for event ${count} of ${name}`, error)
      })
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** A mailmux command with this daemon's config. */
  command(...args: string[]): Promise<CommandResult> {
    return runCommand([...args, '--config', this.configFile])
  }

  /** What `mailmux status --json` prints. */
  status(): Promise<StatusReport> {
    return askDaemon(this.dir.join('run'), 'status', patience)
  }

  /** Returns when there is no session. */
  async idle(): Promise<void> {
    const signal = AbortSignal.timeout(patience)
    for (;;) {
      const { services } = await this.status()
      if (services.every(({ sessions }) => sessions === 0)) return
      signal.throwIfAborted()
    }
  }

  /** SIGTERM, and how it ended. */
  stop(): Promise<Exit> {
    this.signal('SIGTERM')
    return this.exited
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#exit !== undefined) return
    // Twice: sessions that a test left open are not waited for.
    this.signal('SIGTERM')
    this.signal('SIGTERM')
    const timer = setTimeout(() => this.signal('SIGKILL'), 5000)
    await this.exited
    clearTimeout(timer)
  }

  #read(line: string): void {
    try {
      this.events.push(JSON.parse(line) as LoggedEvent)
    } catch {
      this.strayLines.push(line)
    }
    this.#changes.emit('change')
  }

  #failure(what: string, cause?: unknown): Error {
    const log = this.events.map((event) => JSON.stringify(event)).join('\n')
    return new Error(`${what}\nlog:\n${log}\nstderr:\n${this.stderr}`, { cause })
  }
}
