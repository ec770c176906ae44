/**
 * The workers of a daemon: as many as were asked for, each with the settings in force. One that dies
 * is replaced; while deaths are frequent the replacement waits. Listening sockets are shared through
 * node:cluster, so an address stays open as long as one worker lives.
 */
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Log } from '../base/log.ts'
import type { Naming } from '../mail/address.ts'
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import type { SpoolUsage } from '../spool/file-spool-writer.ts'
import { type CheckedSettings, commit, commitMs, prepare } from './bring-settings.ts'
import type { Drain } from './channel.ts'
import { coalesce } from './coalesce.ts'
import { type Counts, sumCounts } from './counters.ts'
import { FreezeKeeper } from './freeze-keeper.ts'
import { RestartPolicy } from './restart-policy.ts'
import { awaitEnd, leave, retire } from './retire-worker.ts'
import type { Daemon } from './session-control.ts'
import { needsQueue } from './settings.ts'
import { type ChildStart, emptyPlace, forkInto, isCrash, type Place } from './worker-place.ts'
import { type Exit, WorkerProcess } from './worker-process.ts'

/** A part of a long list on a slow disk included. */
const queueMs = 20_000

/** Why a process that has just started will not do; undefined where it will. */
type Refuse = (worker: WorkerProcess) => string | undefined

type PoolStart = Omit<ChildStart, 'workerEntry'> & { readonly entry: URL }

export class WorkerPool implements Daemon {
  readonly log: Log
  readonly freezes = new FreezeKeeper(this)
  readonly #start: ChildStart
  readonly #policy = new RestartPolicy()
  readonly #living = new Set<WorkerProcess>()
  #places: Place[] = []
  #inForce: CheckedSettings
  #phase: 'starting' | 'serving' | 'stopping' = 'starting'
  /** Where there are services that may take messages into the spool. */
  #queue: Place | undefined
  #spoolUsage: SpoolUsage | undefined
  #retiredCounts: Counts = {}
  #retiredDrops = 0

  constructor(start: PoolStart, log: Log, settings: CheckedSettings) {
    const { entry, ...shared } = start
    this.log = log
    this.#inForce = settings
    // The kernel hands connections to whichever worker is free; none goes through this process.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    this.#start = { workerEntry: fileURLToPath(entry), ...shared }
  }

  get #drainTimeoutMs(): number {
    return this.#inForce.settings.config.limits.drainTimeoutMs
  }

  get naming(): Naming {
    return this.#inForce.settings.config.naming
  }

  /** Every worker that lives, those that are leaving included. */
  get workers(): WorkerProcess[] {
    return [...this.#living]
  }

  /** Counts of all workers, also of those that are gone. */
  get counts(): Counts {
    return sumCounts([this.#retiredCounts, ...this.workers.map((w) => w.lastReport.counters)])
  }

  get logDropped(): number {
    return this.workers.reduce((sum, w) => sum + w.lastReport.logDropped, this.#retiredDrops)
  }

  /** Starts the workers; returns when all serve. Problems: nothing serves, no worker is left. */
  async start(): Promise<readonly string[]> {
    const added = [...this.#addPlaces(this.#inForce.workers), ...this.#addQueue()]
    const problems = (await Promise.all(added.map((place) => this.#fill(place)))).flat()
    if (problems.length > 0) {
      this.killAll()
      await Promise.all(this.workers.map(({ exited }) => exited))
      this.#phase = 'stopping'
      return [...new Set(problems)]
    }
    this.#phase = 'serving'
    return []
  }

  /** Gives every worker new settings, or none of them. Returns why not. */
  async replaceSettings(next: CheckedSettings): Promise<readonly string[]> {
    const serving = this.workers.filter(({ state }) => state === 'serving')
    const answers = await Promise.all(
      serving.map((worker) => prepare(worker, next, this.freezes.notices)),
    )
    const problems = [...new Set(answers.flat())]
    if (problems.length > 0 || this.#phase !== 'serving') {
      await Promise.all(serving.map((worker) => worker.ask({ do: 'abort' }, commitMs)))
      return problems.length > 0 ? problems : ['the daemon is stopping']
    }
    this.#inForce = next
    await Promise.all(serving.map((worker) => commit(worker, next)))
    // Workers that came into being meanwhile have the settings of before.
    const late = this.workers.filter(({ state }) => state === 'serving')
    await Promise.all(late.map((worker) => this.#bring(worker)))
    await this.#resize(next.workers)
    return []
  }

  /**
   * Starts new workers and a new queue, of the code that is there now; when all the workers serve, the
   * old take no more clients, and leave when theirs have ended. Returns why not; then nothing has
   * changed. `refuse`: why a new one will not do, before it is given anything.
   */
  async restart(drain: Drain, refuse: Refuse): Promise<readonly string[]> {
    const next = this.#places.map(() => emptyPlace('worker'))
    const problems = (await Promise.all(next.map((place) => this.#fill(place, refuse)))).flat()
    if (this.#phase !== 'serving') problems.push('the daemon is stopping')
    else if (next.some(({ worker }) => worker?.state !== 'serving' || worker.isGone)) {
      problems.push('a new worker did not stay')
    }
    // Those that do serve may have clients by now.
    const going = problems.length > 0 ? next : this.#places
    if (problems.length === 0) this.#places = next
    void leave(going, drain)
    if (problems.length === 0) await this.#restartQueue()
    return [...new Set(problems)]
  }

  /** Asks every worker for its numbers; one that is hung is ended. */
  readonly refreshReports = coalesce(async () => {
    await Promise.all(this.workers.map((worker) => this.#refresh(worker)))
  })

  /** Ends all workers; true where every session ended by itself in its time. */
  async stop(drain: Drain): Promise<boolean> {
    this.#phase = 'stopping'
    for (const { timer } of [...this.#places, ...this.#queuePlaces]) clearTimeout(timer)
    const drained = await Promise.all(this.workers.map((worker) => retire(worker, drain)))
    return drained.every(Boolean)
  }

  /** Undefined where there is no queue, or it does not answer in time. */
  async askQueue(request: QueueRequest): Promise<QueuePage | QueueChange | undefined> {
    return this.#queue?.worker?.ask({ do: 'queue', request }, queueMs)
  }

  tellOfBackend(backend: string): void {
    void this.#queue?.worker?.ask({ do: 'backend-up', backend }, commitMs)
  }

  killAll(): void {
    for (const worker of this.#living) worker.kill()
  }

  #addPlaces(count: number): Place[] {
    const added = Array.from({ length: count }, () => emptyPlace('worker'))
    this.#places.push(...added)
    return added
  }

  get #queuePlaces(): Place[] {
    return this.#queue === undefined ? [] : [this.#queue]
  }

  /** Gives the queue a place, where it needs one and has none yet. */
  #addQueue(): Place[] {
    if (this.#queue !== undefined || !needsQueue(this.#inForce.settings)) return []
    this.#queue = emptyPlace('queue')
    return [this.#queue]
  }

  /** Takes its place from the queue where it is not needed any more. */
  #removeQueue(): Place[] {
    if (needsQueue(this.#inForce.settings)) return []
    const removed = this.#queuePlaces
    this.#queue = undefined
    return removed
  }

  async #resize(count: number): Promise<void> {
    const added = [
      ...this.#addPlaces(Math.max(0, count - this.#places.length)),
      ...this.#addQueue(),
    ]
    const removed = [...this.#places.splice(count), ...this.#removeQueue()]
    void leave(removed, { drainMs: this.#drainTimeoutMs })
    await Promise.all(added.map((place) => this.#fill(place)))
  }

  /** Starts a worker at a place and gives it the settings in force. Returns why it does not serve. */
  async #fill(place: Place, refuse: Refuse = () => undefined): Promise<readonly string[]> {
    const { role, restarts } = place
    const worker = new WorkerProcess(
      forkInto(place, this.#start),
      { role, restarts, board: role === 'worker' ? this.#start.boards.take() : undefined },
      {
        failing: (failing) => this.#letGo(failing),
        exited: (gone, exit) => this.#noteExit(gone, exit),
        spooled: (ids) => void this.#queue?.worker?.ask({ do: 'spooled', ids }, commitMs),
        spoolUsage: (usage) => this.#passOn(usage),
      },
    )
    place.worker = worker
    this.#living.add(worker)
    await worker.ready
    const problem = worker.isGone ? undefined : refuse(worker)
    const problems =
      problem === undefined ? await this.#bring(worker) : this.#turnAway(worker, [problem])
    if (problems.length > 0) return problems
    if (worker.isGone) return [`worker ${worker.number} ended before it was ready`]
    if (worker.state === 'starting') {
      worker.state = 'serving'
      const event = role === 'queue' ? 'queue.started' : 'worker.started'
      this.log(event, { worker: worker.number, pid: worker.pid })
      this.#tellUsage(worker)
    }
    return []
  }

  /** One after the other: both would have the spool. */
  async #restartQueue(): Promise<void> {
    const before = this.#queuePlaces
    if (before.length === 0) return
    const next = emptyPlace('queue')
    this.#queue = next
    await leave(before, { drainMs: this.#drainTimeoutMs })
    if (this.#phase === 'serving') await this.#fill(next)
  }

  /** What the spool holds, from the queue to those who fill it. */
  #passOn(usage: SpoolUsage): void {
    this.#spoolUsage = usage
    for (const { worker } of this.#places) if (worker?.state === 'serving') this.#tellUsage(worker)
  }

  #tellUsage(worker: WorkerProcess): void {
    const usage = this.#spoolUsage
    if (usage !== undefined) void worker.ask({ do: 'spool-usage', usage }, commitMs)
  }

  /** Gives a worker the settings in force; one that cannot take them is ended. Returns why. */
  async #bring(worker: WorkerProcess): Promise<readonly string[]> {
    while (!worker.isGone && worker.given !== this.#inForce) {
      const next = this.#inForce
      const problems = await prepare(worker, next, this.freezes.notices)
      if (problems.length > 0) return this.#turnAway(worker, problems)
      await commit(worker, next)
    }
    return []
  }

  #turnAway(worker: WorkerProcess, problems: readonly string[]): readonly string[] {
    this.log('worker.refused', { worker: worker.number, problems })
    worker.kill()
    return problems
  }

  async #refresh(worker: WorkerProcess): Promise<void> {
    await worker.refreshReport()
    if (!worker.isHung) return
    this.log('worker.hung', { worker: worker.number, pid: worker.pid })
    worker.kill('hung')
  }

  #noteExit(worker: WorkerProcess, exit: Exit): void {
    this.#living.delete(worker)
    // At a stop nobody looks at the counts any more.
    if (this.#phase !== 'stopping') this.#start.boards.giveBack(worker.board)
    this.#retiredCounts = sumCounts([this.#retiredCounts, worker.lastReport.counters])
    this.#retiredDrops += worker.lastReport.logDropped
    this.log('worker.exited', { worker: worker.number, pid: worker.pid, ...exit })
    // What it put into the spool last, it may have told nobody.
    if (worker.role === 'worker') void this.#queue?.worker?.ask({ do: 'look' }, queueMs)
    this.#replace(worker, isCrash(exit) && !worker.isBlameless)
  }

  /** One that met a fault of ours ends by itself; if it cannot, it is ended. */
  #letGo(failing: WorkerProcess): void {
    awaitEnd(failing, this.#drainTimeoutMs)
    this.#replace(failing, true)
  }

  /** Puts another worker in the place of one that is lost, at once or after a wait. */
  #replace(lost: WorkerProcess, hasCrashed: boolean): void {
    const places = [...this.#places, ...this.#queuePlaces]
    const place = places.find(({ worker }) => worker === lost)
    if (place === undefined || this.#phase !== 'serving') return
    place.hasCrashed = hasCrashed
    place.worker = undefined
    place.restarts++
    const delayMs = this.#policy.delayAfterCrash(performance.now())
    if (delayMs > 0) {
      this.log('worker.delayed', { crashes: this.#policy.crashes, delay_ms: delayMs })
    }
    place.timer = setTimeout(() => void this.#fill(place), delayMs)
  }
}
