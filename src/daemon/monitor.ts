/**
 * Looks after the daemon every few seconds: asks the workers for their numbers, keeps those of the
 * last minute, has ports of back-ends probed that nobody used for a while and moves gone on with, and
 * raises the alarm about guesses at logins.
 */
import { BackendHealth } from './backend-health.ts'
import { type BackendPort, BackendProber } from './check-backends.ts'
import { CountHistory } from './count-history.ts'
import type { Counts } from './counters.ts'
import { LoginAlarm } from './login/login-alarm.ts'
import { MoveWatch, type MoveWatchOptions } from './move-watch.ts'
import type { Settings } from './settings.ts'
import type { WorkerPool } from './worker-pool.ts'

const lookMs = 5_000

export class Monitor implements AsyncDisposable {
  readonly health: BackendHealth
  readonly moves: MoveWatch
  readonly alarm: LoginAlarm
  readonly #pool: WorkerPool
  readonly #history = new CountHistory(performance.now())
  readonly #timer: NodeJS.Timeout
  #settings: Settings
  #prober: BackendProber | undefined

  /** `options`: of `MoveWatch`, too. */
  constructor(pool: WorkerPool, settings: Settings, options: MoveWatchOptions) {
    const { log } = options
    this.#pool = pool
    this.#settings = settings
    this.health = new BackendHealth(settings.config, log, Date.now())
    this.health.onUp = ({ backend, protocol }) => {
      if (protocol === 'smtp' || protocol === 'lmtp') pool.queue.tellOfBackend(backend)
    }
    this.alarm = new LoginAlarm(log)
    this.alarm.use(settings.config)
    this.moves = new MoveWatch(settings.config, options)
    this.#timer = setInterval(() => void this.#look(), lookMs).unref()
    this.#begin()
  }

  /** New settings are in force. */
  use(settings: Settings): void {
    this.#settings = settings
    this.#prober = undefined
    this.health.use(settings.config)
    this.alarm.use(settings.config)
    this.moves.use(settings.config)
    this.#begin()
  }

  /** The numbers of all workers, as of now. */
  async refresh(): Promise<Counts> {
    await this.#pool.refreshReports()
    const { counts } = this.#pool
    const reports = this.#pool.workers.map(({ lastReport }) => lastReport)
    const troubles = reports.flatMap((report) => report.troubles)
    this.health.note(counts, troubles, Date.now())
    const guesses = reports.flatMap((report) => report.guesses ?? [])
    this.alarm.look(guesses, Date.now())
    return counts
  }

  lastMinute(counts: Counts): Counts {
    return this.#history.lastMinute(performance.now(), counts)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer)
    await this.moves[Symbol.asyncDispose]()
  }

  async #look(): Promise<void> {
    this.#history.add(performance.now(), await this.refresh())
    const { probeIntervalMs } = this.#settings.config
    if (probeIntervalMs > 0) this.#probe(this.health.due(probeIntervalMs, Date.now()))
  }

  /** Where somebody waits for us to be ready, it is found out at once. */
  #begin(): void {
    const { probeIntervalMs, metrics } = this.#settings.config
    if (probeIntervalMs > 0 && metrics.length > 0) this.#probe(this.health.unknown)
  }

  #probe(ports: readonly BackendPort[]): void {
    const { config, backendPems } = this.#settings
    for (const port of ports) {
      this.#prober ??= new BackendProber(config, backendPems)
      this.health.asked(port)
      void this.#prober.probe(port).then((report) => this.health.probed(report, Date.now()))
    }
  }
}
