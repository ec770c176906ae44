/**
 * The daemon's first process: checks settings, keeps the workers running, answers the control
 * socket, and obeys signals. It touches no client. SIGTERM and SIGINT stop it, sessions first; a
 * second one at once. SIGHUP reloads.
 */
import { fileURLToPath } from 'node:url'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Problem } from '../base/problem.ts'
import type { Config, Service } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import type { ReloadReport, StatusReport } from '../control/messages.ts'
import { openControl } from '../control/server.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import { claimRunDir } from './claim-run-dir.ts'
import { coalesce } from './coalesce.ts'
import { type LoadedSettings, loadSettings } from './load-settings.ts'
import { type LogWriter, openLog } from './log-writer.ts'
import { refuseRestartKeys } from './restart-keys.ts'
import { findRunAs, type FoundUser, refuseUnless } from './run-as.ts'
import { formatAddress } from './settings.ts'
import { numbersOf } from './status.ts'
import { type CheckedSettings, WorkerPool } from './worker-pool.ts'

export interface SuperviseOptions {
  readonly config: Config
  /** Only these services; all that the config listens for where it is empty. */
  readonly services: readonly Service[]
  readonly version: string
  /** Where workers begin; the real one by default. */
  readonly workerEntry?: URL
  /** Is shown what a reload finds worth a warning. */
  readonly warn: (problems: readonly Problem[]) => void
}

/** Everything that was found wrong, as one failure with the code of the first. */
function combined(problems: readonly MailmuxError[]): MailmuxError {
  const [first] = problems
  if (first === undefined) return new MailmuxError('INTERNAL', 'refused without a problem')
  if (problems.length === 1) return first
  const lines = problems.map(({ located }) => located)
  return new MailmuxError(first.code, [...lines, `${problems.length} problems`].join('\n'))
}

/** Runs the daemon until it is told to stop. Throws what keeps it from starting, with nothing left running. */
export async function supervise(options: SuperviseOptions): Promise<void> {
  await using resources = new AsyncDisposableStack()
  const logWriter = resources.use(openLog())
  resources.use(await claimRunDir(options.config.runDir))
  cleanEnvironment()
  const found = findRunAs(options.config)
  const signals = resources.use(listenForSignals())
  // Set once the workers run; a client that connects before waits for it.
  const started = Promise.withResolvers<Supervisor>()
  started.promise.catch(() => undefined)
  resources.use(
    await openControl(options.config.runDir, {
      status: async () => (await started.promise).status(),
      reload: async () => (await started.promise).reload(),
      queue: async (request) => (await started.promise).queue(request),
    }),
  )
  try {
    const supervisor = await Supervisor.start({ ...options, ...found }, logWriter, signals)
    resources.defer(() => supervisor.release())
    signals.onReload = () => void supervisor.reload().catch(() => undefined)
    started.resolve(supervisor)
    await supervisor.stop(await signals.stop, signals)
  } catch (error) {
    started.reject(error)
    throw error
  }
}

/** What would change how workers run: the environment is that of whoever starts the daemon. */
function cleanEnvironment(): void {
  const names = ['NODE_OPTIONS', 'NODE_PATH', 'NODE_DEBUG', 'NODE_TLS_REJECT_UNAUTHORIZED']
  for (const name of names) Reflect.deleteProperty(process.env, name)
}

/** With what was found out at the start. */
type StartOptions = SuperviseOptions & FoundUser

interface Signals extends Disposable {
  /** Resolves with the name of the first signal that ends the daemon. */
  readonly stop: Promise<string>
  onReload: () => void
  /** Called at the second signal that ends the daemon. */
  onHurry: () => void
}

function listenForSignals(): Signals {
  const stop = Promise.withResolvers<string>()
  let isStopping = false
  const end = (signal: string): void => {
    if (isStopping) signals.onHurry()
    isStopping = true
    stop.resolve(signal)
  }
  const reload = (): void => signals.onReload()
  process.on('SIGTERM', end).on('SIGINT', end).on('SIGHUP', reload)
  const signals: Signals = {
    stop: stop.promise,
    onReload: () => undefined,
    onHurry: () => undefined,
    [Symbol.dispose]() {
      process.off('SIGTERM', end).off('SIGINT', end).off('SIGHUP', reload)
    },
  }
  return signals
}

class Supervisor {
  /** Takes a new config and map, whole or not at all. Throws RELOAD_REFUSED with every problem. */
  readonly reload: () => Promise<ReloadReport>
  readonly #options: StartOptions
  readonly #logWriter: LogWriter
  readonly #pool: WorkerPool
  readonly #startedAt = new Date()
  #inForce: LoadedSettings
  #isStopping = false

  private constructor(
    options: StartOptions,
    logWriter: LogWriter,
    settings: LoadedSettings,
    pool: WorkerPool,
  ) {
    this.#options = options
    this.#logWriter = logWriter
    this.#inForce = settings
    this.#pool = pool
    this.reload = coalesce(() => this.#reloadOnce())
  }

  static async start(
    options: StartOptions,
    logWriter: LogWriter,
    signals: Signals,
  ): Promise<Supervisor> {
    const { config, services, runAs } = options
    const entry = options.workerEntry ?? defaultEntry()
    if (runAs !== undefined) refuseUnless('read', fileURLToPath(entry), runAs)
    for (let attempt = 1; ; attempt++) {
      const loaded = await loadSettings({ config, services, inForce: [], runAs })
      if ('problems' in loaded) throw combined(loaded.problems)
      const pool = new WorkerPool(entry, logWriter.log, checked(loaded), runAs)
      signals.onHurry = () => pool.killAll()
      const problems = await pool.start()
      if (problems.length === 0) {
        const supervisor = new Supervisor(options, logWriter, loaded, pool)
        if (options.kept !== undefined) logWriter.log('daemon.user_kept', options.kept)
        logWriter.log('daemon.ready', { pid: process.pid, ...supervisor.#summary() })
        return supervisor
      }
      await loaded.release()
      if (attempt === freePortAttempts || !hasLostFreePort(loaded, problems)) {
        throw combined(problems.map((problem) => new MailmuxError('START_FAILED', problem)))
      }
    }
  }

  async status(): Promise<StatusReport> {
    await this.#pool.refreshReports()
    const { settings, changes, users } = this.#inForce
    const reports = this.#pool.workers.map(({ lastReport }) => lastReport)
    const sessions = reports.flatMap((report) => report.sessions)
    return {
      pid: process.pid,
      version: this.#options.version,
      started: this.#startedAt.toISOString(),
      uptime_ms: Math.round(process.uptime() * 1000),
      state: this.#isStopping ? 'stopping' : 'serving',
      config: settings.config.file,
      generation: Math.max(changes.generation, ...reports.map(({ generation }) => generation ?? 0)),
      ...(users === undefined ? {} : { users }),
      ...numbersOf(settings, sessions, this.#pool.counts),
      workers: this.#pool.workers.map((worker) => worker.status()),
      log_dropped: this.#pool.logDropped + this.#logWriter.dropped,
    }
  }

  /** Throws DAEMON_REFUSED where there is no queue, or it is busy. */
  async queue(request: QueueRequest): Promise<QueuePage | QueueChange> {
    const answer = await this.#pool.askQueue(request)
    if (answer !== undefined) return answer
    throw new MailmuxError('DAEMON_REFUSED', 'the queue of this daemon does not answer')
  }

  async stop(reason: string, signals: Signals): Promise<void> {
    this.#isStopping = true
    this.#logWriter.log('daemon.stopping', { reason })
    signals.onHurry = () => this.#pool.killAll()
    const { drainTimeoutMs } = this.#inForce.settings.config.limits
    const drained = await this.#pool.stop(drainTimeoutMs)
    this.#logWriter.log('daemon.stopped', { drained })
  }

  release(): Promise<void> {
    return this.#inForce.release()
  }

  async #reloadOnce(): Promise<ReloadReport> {
    try {
      let refused = await this.#takeNext()
      for (let attempt = 1; refused?.hasLostFreePort && attempt < freePortAttempts; attempt++) {
        refused = await this.#takeNext()
      }
      if (refused !== undefined) {
        const { problems } = refused
        throw combined(problems.map((problem) => new MailmuxError('RELOAD_REFUSED', problem)))
      }
    } catch (error) {
      throw this.#refuse(error)
    }
    const summary = this.#summary()
    this.#logWriter.log('reload.done', summary)
    return summary
  }

  /** Puts new settings in force; undefined where it did. */
  async #takeNext(): Promise<Refused | undefined> {
    const next = await this.#loadNext()
    const problems = await this.#pool.replaceSettings(checked(next))
    if (problems.length > 0) {
      await next.release()
      return { problems, hasLostFreePort: hasLostFreePort(next, problems) }
    }
    await this.#inForce.release()
    this.#inForce = next
    return undefined
  }

  async #loadNext(): Promise<LoadedSettings> {
    const { settings, bound, changes } = this.#inForce
    const { config, warnings } = await loadConfig(settings.config.file)
    this.#options.warn(warnings)
    const { services, runAs } = this.#options
    const loaded = await loadSettings({
      config,
      services,
      inForce: bound,
      known: changes.known,
      runAs,
    })
    const problems = 'problems' in loaded ? [...loaded.problems] : []
    problems.push(...refuseRestartKeys(config, settings))
    if (!('problems' in loaded) && problems.length === 0) return loaded
    if (!('problems' in loaded)) await loaded.release()
    throw combined(problems)
  }

  #refuse(error: unknown): MailmuxError {
    if (!(error instanceof MailmuxError)) {
      this.#logWriter.log('internal', { reason: 'reload', detail: messageOf(error) })
      return new MailmuxError('INTERNAL', messageOf(error), { cause: error })
    }
    const lines = error.located.split('\n')
    const problems = lines.length > 1 ? lines.slice(0, -1) : lines
    this.#logWriter.log('reload.refused', { reason: error.code, problems })
    const count = problems.length === 1 ? 'one problem' : `${problems.length} problems`
    const text = [...problems, `reload refused: ${count}`].join('\n')
    return new MailmuxError('RELOAD_REFUSED', text, { cause: error })
  }

  #summary(): ReloadReport {
    const { settings, generation, workers } = this.#inForce
    const listeners = settings.listeners.map((at) => `${at.service} ${formatAddress(at)}`)
    return { generation, workers, listeners }
  }
}

interface Refused {
  readonly problems: readonly string[]
  readonly hasLostFreePort: boolean
}

/** Where any port will do, another program may take the one that was found before workers have it. */
const freePortAttempts = 4

function hasLostFreePort({ bound }: LoadedSettings, problems: readonly string[]): boolean {
  return bound.some(({ config, askedPort }) => {
    const address = formatAddress(config)
    return askedPort === 0 && problems.some((problem) => problem.startsWith(`${address}: `))
  })
}

function checked(loaded: LoadedSettings): CheckedSettings {
  const { settings, generation, workers, changes } = loaded
  return { settings, generation, workers, changes }
}

function defaultEntry(): URL {
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js'
  return new URL(`./worker-main.${extension}`, import.meta.url)
}
