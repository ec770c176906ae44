/**
 * The workers of a daemon: as many as were asked for, each with the settings in force. One that dies
 * is replaced; while deaths are frequent the replacement waits. Listening sockets are shared through
 * node:cluster, so an address stays open as long as one worker lives.
 */
import cluster from 'node:cluster'
import { fileURLToPath } from 'node:url'
import type { Log } from '../base/log.ts'
import type { Naming } from '../mail/address.ts'
import type { Drain } from './channel.ts'
import { coalesce } from './coalesce.ts'
import type { Counts } from './counters.ts'
import { FreezeKeeper } from './freeze-keeper.ts'
import { QueueSeat } from './queue-seat.ts'
import { RestartPolicy } from './restart-policy.ts'
import { RetiredFigures } from './retired-figures.ts'
import { awaitEnd, leave, retire } from './retire-worker.ts'
import type { Daemon } from './session-control.ts'
import { type CheckedSettings, SettingsInForce, stoppingText } from './settings-in-force.ts'
import { startChild } from './start-child.ts'
import { type ChildStart, emptyPlace, isCrash, type Place } from './worker-place.ts'
import type { Exit, WorkerProcess } from './worker-process.ts'

/** Why a process that has just started will not do; undefined where it will. */
type Refuse = (worker: WorkerProcess) => string | undefined

const tooManyLeave =
  'workers of restarts before still have sessions, and there is no room to count more: now they, ' +
  'too, end within the time that was given; try again then'

type PoolStart = Omit<ChildStart, 'workerEntry'> & { readonly entry: URL }

export class WorkerPool implements Daemon {
  readonly log: Log
  readonly freezes = new FreezeKeeper(this)
  readonly queue = new QueueSeat()
  readonly #start: ChildStart
  readonly #policy = new RestartPolicy()
  readonly #retired = new RetiredFigures()
  readonly #living = new Set<WorkerProcess>()
  #places: Place[] = []
  readonly #settings: SettingsInForce
  #phase: 'starting' | 'serving' | 'stopping' = 'starting'

  constructor(start: PoolStart, log: Log, settings: CheckedSettings) {
    const { entry, ...shared } = start
    this.log = log
    this.#settings = new SettingsInForce(settings, log, () => this.freezes.notices)
    // The kernel hands connections to whichever worker is free; none goes through this process.
    cluster.schedulingPolicy = cluster.SCHED_NONE
    this.#start = { workerEntry: fileURLToPath(entry), ...shared }
  }

  get #drainTimeoutMs(): number {
    return this.#settings.current.settings.config.limits.drainTimeoutMs
  }

  get naming(): Naming {
    return this.#settings.current.settings.config.naming
  }

  /** Every worker that lives, those that are leaving included. */
  get workers(): WorkerProcess[] {
    return [...this.#living]
  }

  /** Counts of all workers, also of those that are gone. */
  get counts(): Counts {
    return this.#retired.countsWith(this.workers)
  }

  get logDropped(): number {
    return this.#retired.droppedWith(this.workers)
  }

  /** Starts the workers; returns when all serve. Problems: nothing serves, no worker is left. */
  async start(): Promise<readonly string[]> {
    const added = [
      ...this.#addPlaces(this.#settings.current.workers),
      ...this.queue.add(this.#settings.current.settings),
    ]
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
    const problems = await this.#settings.replace(next, () =>
      this.#phase === 'serving'
        ? this.workers.filter(({ state }) => state === 'serving')
        : undefined,
    )
    if (problems.length === 0) await this.#resize(next.workers)
    return problems
  }

  /**
   * Starts new workers, of the code that is there now; when all of them serve, the old take no more
   * clients, and leave when theirs have ended. A new queue comes when the old one has ended. Returns
   * why not; then nothing has changed. `refuse`: why a new process will not do, before it is given
   * anything.
   */
  async restart(drain: Drain, refuse: Refuse): Promise<readonly string[]> {
    if (this.#phase !== 'serving') return [stoppingText]
    if (this.#start.boards.free < this.#places.length) {
      const leaving = this.workers.filter(
        ({ role, state }) => role === 'worker' && state === 'leaving',
      )
      for (const worker of leaving) void retire(worker, drain)
      return [tooManyLeave]
    }
    const problem = await this.#tryQueue(refuse)
    if (problem !== undefined) return [problem]
    if (this.#phase !== 'serving') return [stoppingText]
    const next = this.#places.map(() => emptyPlace('worker'))
    const problems = await this.#fillAll(next, refuse)
    // Those that do serve may have clients by now.
    const going = problems.length > 0 ? next : this.#places
    if (problems.length === 0) this.#places = next
    // One that is only starting has none, and may never be ready.
    for (const { worker } of going) if (worker?.state === 'starting') worker.kill()
    void leave(going, drain)
    if (problems.length === 0) this.#renewQueue()
    return problems
  }

  /** Asks every worker for its numbers; one that is hung is ended. */
  readonly refreshReports = coalesce(async () => {
    await Promise.all(this.workers.map((worker) => this.#refresh(worker)))
  })

  /** Ends all workers; true where every session ended by itself in its time. */
  async stop(drain: Drain): Promise<boolean> {
    this.#phase = 'stopping'
    for (const { timer } of [...this.#places, ...this.queue.places]) clearTimeout(timer)
    const drained = await Promise.all(this.workers.map((worker) => retire(worker, drain)))
    return drained.every(Boolean)
  }

  killAll(): void {
    for (const worker of this.#living) worker.kill()
  }

  #addPlaces(count: number): Place[] {
    const added = Array.from({ length: count }, () => emptyPlace('worker'))
    this.#places.push(...added)
    return added
  }

  async #resize(count: number): Promise<void> {
    const added = [
      ...this.#addPlaces(Math.max(0, count - this.#places.length)),
      ...this.queue.add(this.#settings.current.settings),
    ]
    const removed = [
      ...this.#places.splice(count),
      ...this.queue.remove(this.#settings.current.settings),
    ]
    void leave(removed, { drainMs: this.#drainTimeoutMs })
    // A queue may have to wait until the one before has left the spool.
    const isSpoolFree = this.#queues.length === 0
    const filling = added.map(async (place) => {
      const filled = this.#fill(place)
      if (place.role === 'worker' || isSpoolFree) await filled
    })
    await Promise.all(filling)
  }

  /** Those that live, of which one has the spool. */
  get #queues(): WorkerProcess[] {
    return this.workers.filter(({ role }) => role === 'queue')
  }

  #begin(place: Place): WorkerProcess | string {
    if (this.#phase === 'stopping') return stoppingText
    const worker = startChild(place, this.#start, {
      failing: (failing) => this.#letGo(failing),
      exited: (gone, exit) => this.#noteExit(gone, exit),
      spooled: (ids) => this.queue.tellOfSpooled(ids),
      spoolUsage: (usage) => this.queue.passOn(usage, this.workers),
    })
    if (typeof worker !== 'string') this.#living.add(worker)
    return worker
  }

  /** Starts a worker at a place and gives it the settings in force. Returns why it does not serve. */
  async #fill(place: Place, refuse: Refuse = () => undefined): Promise<readonly string[]> {
    const { role } = place
    if (role === 'queue') {
      await Promise.all(this.#queues.map(({ exited }) => exited))
      // It may be wanted no more, or in another place.
      if (!this.queue.places.includes(place)) return []
    }
    const worker = this.#begin(place)
    if (typeof worker === 'string') {
      this.#fillLater(place)
      return [worker]
    }
    place.worker = worker
    await worker.ready
    if (worker.isGone) return [worker.earlyEnd]
    const problem = refuse(worker)
    const problems =
      problem === undefined
        ? await this.#settings.bring(worker)
        : this.#settings.turnAway(worker, [problem])
    if (problems.length > 0) return problems
    if (worker.isGone) return [worker.earlyEnd]
    if (worker.state === 'starting') {
      worker.state = 'serving'
      const event = role === 'queue' ? 'queue.started' : 'worker.started'
      this.log(event, { worker: worker.number, pid: worker.pid })
      this.queue.tellUsage(worker)
    }
    return []
  }

  /** Returns why not all of them serve. */
  async #fillAll(places: readonly Place[], refuse?: Refuse): Promise<readonly string[]> {
    const all = await Promise.all(places.map((place) => this.#fill(place, refuse)))
    const problems = [...new Set(all.flat())]
    if (this.#phase === 'stopping') return [stoppingText]
    const haveStayed = places.every(({ worker }) => worker?.state === 'serving' && !worker.isGone)
    return problems.length > 0 || haveStayed ? problems : ['a new worker did not stay']
  }

  /** Why the code of the queue cannot be started, in a process that does not get the spool. */
  async #tryQueue(refuse: Refuse): Promise<string | undefined> {
    if (this.queue.places.length === 0) return undefined
    const worker = this.#begin(emptyPlace('queue'))
    if (typeof worker === 'string') return worker
    await worker.ready
    const problem = worker.isGone ? worker.earlyEnd : refuse(worker)
    if (problem === undefined) await retire(worker, { drainMs: 0 })
    else worker.kill()
    return problem
  }

  #renewQueue(): void {
    const renewed = this.queue.renew()
    if (renewed === undefined) return
    void leave(renewed.before, { drainMs: this.#drainTimeoutMs })
    void this.#fill(renewed.next)
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
    this.#retired.add(worker)
    this.log('worker.exited', { worker: worker.number, pid: worker.pid, ...exit })
    // What it put into the spool last, it may have told nobody.
    if (worker.role === 'worker') this.queue.letLook()
    this.#replace(worker, isCrash(exit) && !worker.isBlameless)
  }

  /** One that met a fault of ours ends by itself; if it cannot, it is ended. */
  #letGo(failing: WorkerProcess): void {
    awaitEnd(failing, this.#drainTimeoutMs)
    this.#replace(failing, true)
  }

  /** Puts another worker in the place of one that is lost, at once or after a wait. */
  #replace(lost: WorkerProcess, hasCrashed: boolean): void {
    const places = [...this.#places, ...this.queue.places]
    const place = places.find(({ worker }) => worker === lost)
    if (place === undefined || this.#phase !== 'serving') return
    place.hasCrashed = hasCrashed
    place.worker = undefined
    place.restarts++
    this.#fillLater(place)
  }

  /** At once or after a wait; not where the place is none of ours, or any more. */
  #fillLater(place: Place): void {
    const isOurs = [...this.#places, ...this.queue.places].includes(place)
    if (!isOurs || this.#phase !== 'serving') return
    const delayMs = this.#policy.delayAfterCrash(performance.now())
    if (delayMs > 0) {
      this.log('worker.delayed', { crashes: this.#policy.crashes, delay_ms: delayMs })
    }
    place.timer = setTimeout(() => void this.#fill(place), delayMs)
  }
}
