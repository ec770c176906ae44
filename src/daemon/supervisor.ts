/**
 * The daemon's first process: checks settings, keeps the workers running, and knows how all of it
 * is. It touches no client.
 */
import { fileURLToPath } from 'node:url'
import { MailmuxError } from '../base/error.ts'
import { moduleFile } from '../base/module-file.ts'
import type { Problem } from '../base/problem.ts'
import type { Config, Service } from '../config/config.ts'
import { loadConfig } from '../config/load.ts'
import type { ReloadReport, StatusReport } from '../control/messages.ts'
import type { DrainReport, DrainRequest, RestartReport } from '../control/session-messages.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import type { BoardKeeper } from './admission/boards.ts'
import { coalesce } from './coalesce.ts'
import { combined } from './combined-problem.ts'
import { freePortAttempts, hasLostFreePort, type Refused } from './free-port.ts'
import { InTurn } from './in-turn.ts'
import { type LoadedSettings, loadSettings } from './load-settings.ts'
import type { LogWriter } from './log-writer.ts'
import { refuseRestartKeys } from './restart-keys.ts'
import { restartWorkers } from './restart-workers.ts'
import type { Ending } from './retire-worker.ts'
import { type FoundUser, refuseUnless } from './run-as.ts'
import { formatAddress } from './settings.ts'
import type { Signals } from './signals.ts'
import type { Counts } from './counters.ts'
import type { Sample } from './metrics/exposition.ts'
import type { MetricsListeners } from './metrics/listeners.ts'
import type { Check } from './metrics/pages.ts'
import { Monitor } from './monitor.ts'
import { ownVersion } from './own-version.ts'
import { readinessOf } from './readiness.ts'
import { refuseReload } from './refuse-reload.ts'
import { reportStatus } from './report-status.ts'
import type { CheckedSettings } from './settings-in-force.ts'
import { WorkerPool } from './worker-pool.ts'

export interface SuperviseOptions {
  readonly config: Config
  /** Only these services; all that the config listens for where it is empty. */
  readonly services: readonly Service[]
  /** Where workers begin; the real one by default. */
  readonly workerEntry?: URL
  /** The words that run mailmux, for what is due of moves; that is left to others without them. */
  readonly program?: readonly string[]
  /** Is shown what a reload finds worth a warning. */
  readonly warn: (problems: readonly Problem[]) => void
}

/** With what was found out at the start. */
type StartOptions = SuperviseOptions & FoundUser

export class Supervisor {
  /** Takes a new config and map, whole or not at all. Throws RELOAD_REFUSED with every problem. */
  readonly reload: () => Promise<ReloadReport>
  readonly #options: StartOptions
  readonly #logWriter: LogWriter
  readonly #metrics: MetricsListeners
  readonly pool: WorkerPool
  readonly #monitor: Monitor
  readonly #startedAt = new Date()
  readonly #version = ownVersion()
  readonly #turns = new InTurn()
  readonly #drain = Promise.withResolvers<Ending>()
  #inForce: LoadedSettings
  #isStopping = false

  private constructor(
    options: StartOptions,
    { logWriter, metrics }: Means,
    settings: LoadedSettings,
    pool: WorkerPool,
  ) {
    this.#options = options
    this.#logWriter = logWriter
    this.#metrics = metrics
    this.#inForce = settings
    this.pool = pool
    const { program, runAs } = options
    this.#monitor = new Monitor(pool, settings.settings, { log: logWriter.log, program, runAs })
    this.reload = coalesce(() => this.#turns.run(() => this.#reloadOnce()))
  }

  static async start(options: StartOptions, means: Means, signals: Signals): Promise<Supervisor> {
    const { config, services, runAs } = options
    const { logWriter, boards } = means
    const entry = options.workerEntry ?? moduleFile('daemon/worker-main')
    if (runAs !== undefined) refuseUnless('read', fileURLToPath(entry), runAs)
    for (let attempt = 1; ; attempt++) {
      const loaded = await loadSettings({ config, services, inForce: [], runAs })
      if ('problems' in loaded) throw combined(loaded.problems)
      const pool = new WorkerPool({ entry, runAs, boards }, logWriter.log, checked(loaded))
      signals.onHurry = () => pool.killAll()
      const problems = await pool.start()
      if (problems.length === 0) {
        const supervisor = new Supervisor(options, means, loaded, pool)
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
    return this.#report(await this.#monitor.refresh())
  }

  async sample(): Promise<Sample> {
    const counts = await this.#monitor.refresh()
    const { workers } = this.pool
    return {
      counts,
      status: this.#report(counts),
      workerBytes: workers.reduce((sum, { lastReport }) => sum + lastReport.residentBytes, 0),
      isReady: this.readiness().every(({ ok }) => ok),
      moves: this.#monitor.moves.figures,
    }
  }

  /** Throws DAEMON_REFUSED where there is no queue, or it is busy. */
  async queue(request: QueueRequest): Promise<QueuePage | QueueChange> {
    const answer = await this.pool.queue.ask(request)
    if (answer !== undefined) return answer
    throw new MailmuxError('DAEMON_REFUSED', 'the queue of this daemon does not answer')
  }

  readiness(): readonly Check[] {
    const { settings, generation } = this.#inForce
    return readinessOf({
      settings,
      generation,
      workers: this.pool.workers,
      health: this.#monitor.health,
      isStopping: this.#isStopping,
    })
  }

  #report(counts: Counts): StatusReport {
    return reportStatus({
      version: this.#version,
      startedAt: this.#startedAt,
      isStopping: this.#isStopping,
      inForce: this.#inForce,
      workers: this.pool.workers,
      metrics: this.#metrics.addresses,
      counts,
      lastMinute: this.#monitor.lastMinute(counts),
      health: this.#monitor.health,
      logDropped: this.pool.logDropped + this.#logWriter.dropped,
      frozen: this.pool.freezes.notices.length,
      loginAlarm: this.#monitor.alarm.status,
    })
  }

  /** Makes the daemon end, joined sessions last; returns at once. */
  async drain({ within_ms: drainMs }: DrainRequest): Promise<DrainReport> {
    this.#drain.resolve({ reason: 'drain', drainMs, patient: true })
    const { services } = await this.status()
    return { pid: process.pid, sessions: services.reduce((sum, one) => sum + one.sessions, 0) }
  }

  /**
   * Puts new workers, of the code that is installed now, in the place of all. Throws RESTART_REFUSED;
   * then nothing has changed.
   */
  restart({ within_ms: drainMs }: DrainRequest): Promise<RestartReport> {
    const means = { pool: this.pool, version: this.#version, log: this.#logWriter.log }
    return this.#turns.run(() => restartWorkers(drainMs, means))
  }

  /** What makes the daemon end. */
  awaitEnd(signals: Signals): Promise<Ending> {
    const { drainTimeoutMs } = this.#inForce.settings.config.limits
    const signal = signals.stop.then((reason) => ({ reason, drainMs: drainTimeoutMs }))
    return Promise.race([signal, this.#drain.promise])
  }

  async stop({ reason, ...drain }: Ending, signals: Signals): Promise<void> {
    this.#isStopping = true
    this.#logWriter.log('daemon.stopping', { reason })
    const { moves } = this.#monitor
    moves.end()
    signals.onHurry = () => {
      this.pool.killAll()
      moves.kill()
    }
    const { drainTimeoutMs } = this.#inForce.settings.config.limits
    const stopped = this.pool.stop(drain)
    // A signal during a drain is not kept waiting for it.
    if (drain.patient) void signals.stop.then(() => this.pool.stop({ drainMs: drainTimeoutMs }))
    this.#logWriter.log('daemon.stopped', { drained: await stopped })
  }

  async release(): Promise<void> {
    await this.#monitor[Symbol.asyncDispose]()
    await this.#inForce.release()
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
      throw refuseReload(error, this.#logWriter.log)
    }
    const summary = this.#summary()
    this.#logWriter.log('reload.done', summary)
    return summary
  }

  /** Puts new settings in force; undefined where it did. */
  async #takeNext(): Promise<Refused | undefined> {
    const next = await this.#loadNext()
    const metrics = await this.#metrics
      .prepare(next.settings.config.metrics)
      .catch(async (error: unknown) => {
        await next.release()
        throw error
      })
    const problems = await this.pool.replaceSettings(checked(next))
    if (problems.length > 0) {
      metrics.abort()
      await next.release()
      return { problems, hasLostFreePort: hasLostFreePort(next, problems) }
    }
    metrics.commit()
    await this.#inForce.release()
    this.#inForce = next
    this.#monitor.use(next.settings)
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

  #summary(): ReloadReport {
    const { settings, generation, workers } = this.#inForce
    const listeners = [
      ...settings.listeners.map((at) => `${at.service} ${formatAddress(at)}`),
      ...this.#metrics.addresses.map((address) => `metrics ${address}`),
    ]
    return { generation, workers, listeners }
  }
}

/** What is there before the workers, and after them. */
interface Means {
  readonly logWriter: LogWriter
  readonly metrics: MetricsListeners
  readonly boards: BoardKeeper
}

function checked(loaded: LoadedSettings): CheckedSettings {
  const { settings, generation, workers, changes } = loaded
  return { settings, generation, workers, changes }
}
