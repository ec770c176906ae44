/** Where the queue stands beside the workers, and what it is told and asked by the first process. */
import type { QueueChange, QueuePage, QueueRequest } from '../mail/queued-message.ts'
import type { SpoolUsage } from '../spool/file-spool-writer.ts'
import { commitMs } from './settings-in-force.ts'
import { needsQueue, type Settings } from './settings.ts'
import { emptyPlace, type Place } from './worker-place.ts'
import type { WorkerProcess } from './worker-process.ts'

/** A part of a long list on a slow disk included. */
const queueMs = 20_000

export class QueueSeat {
  /** Where there are services that may take messages into the spool. */
  #place: Place | undefined
  #usage: SpoolUsage | undefined

  get places(): Place[] {
    return this.#place === undefined ? [] : [this.#place]
  }

  /** Gives the queue a place, where it needs one and has none yet. */
  add(settings: Settings): Place[] {
    if (this.#place !== undefined || !needsQueue(settings)) return []
    this.#place = emptyPlace('queue')
    return [this.#place]
  }

  /** Takes its place from the queue where it is not needed any more. */
  remove(settings: Settings): Place[] {
    if (needsQueue(settings)) return []
    const removed = this.places
    this.#place = undefined
    return removed
  }

  /** Another place instead of the one that there is. */
  renew(): { readonly before: readonly Place[]; readonly next: Place } | undefined {
    if (this.#place === undefined) return undefined
    const before = this.places
    const next = { ...emptyPlace('queue'), hasCrashed: this.#place.hasCrashed }
    this.#place = next
    return { before, next }
  }

  /** Undefined where there is no queue, or it does not answer in time. */
  async ask(request: QueueRequest): Promise<QueuePage | QueueChange | undefined> {
    return this.#worker?.ask({ do: 'queue', request }, queueMs)
  }

  tellOfBackend(backend: string): void {
    void this.#worker?.ask({ do: 'backend-up', backend }, commitMs)
  }

  tellOfSpooled(ids: readonly string[]): void {
    void this.#worker?.ask({ do: 'spooled', ids }, commitMs)
  }

  /** There may be messages that nobody has told of. */
  letLook(): void {
    void this.#worker?.ask({ do: 'look' }, queueMs)
  }

  /** What the spool holds, from the queue to those who fill it. */
  passOn(usage: SpoolUsage, workers: readonly WorkerProcess[]): void {
    this.#usage = usage
    for (const worker of workers) if (worker.state !== 'starting') this.tellUsage(worker)
  }

  tellUsage(worker: WorkerProcess): void {
    const usage = this.#usage
    if (usage === undefined || worker.role === 'queue') return
    void worker.ask({ do: 'spool-usage', usage }, commitMs)
  }

  get #worker(): WorkerProcess | undefined {
    return this.#place?.worker
  }
}
