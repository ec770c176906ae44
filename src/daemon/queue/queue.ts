/**
 * The queue: when each message of the spool is tried, how many at once, and what is done with those
 * that cannot be. The files are the truth; what is kept here can be found again from them.
 *
 * Own rules: one attempt at a message at a time. Waits are monotonic, so a clock that is set moves
 * none. A message that has ended the process goes alone of its kind, and the third time aside.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/error.ts'
import type { Log, QuarantineReason } from '../../base/log.ts'
import type { MessageFile } from '../../spool/message-file.ts'
import { retryWaitMs } from '../../spool/schedule.ts'
import { codeOf } from '../../spool/spool-fault.ts'
import type { SpoolStore } from '../../spool/spool-store.ts'
import type { AttemptEnd } from './queue-attempt.ts'
import { firstFor, laneOf, owedAt, type QueueEntry, readEntry } from './queue-entry.ts'
import { faultOf } from './queue-fault.ts'
import { QueueLanes } from './queue-lanes.ts'
import { QueueProbes } from './queue-probes.ts'
import { QueueScan } from './queue-scan.ts'
import { writeDown } from './queue-telling.ts'
import { QueueTimer } from './queue-timer.ts'

export interface QueueOptions {
  readonly store: SpoolStore
  readonly clock: Clock
  readonly log: Log
  /** From 0 to 1. */
  readonly random: () => number
  /** The process before this one ended by itself during an attempt. */
  readonly hasCrashed: boolean
  /** One attempt at a message of that age, at these back-ends or all. Throws what QueueAttempt throws. */
  readonly attempt: (
    file: MessageFile,
    ageMs: number,
    only: readonly string[] | undefined,
  ) => Promise<AttemptEnd>
}

/** Files open at once. */
const activeLimit = 400
const crashLimit = 3
/** When what failed here, rather than at a back-end, is tried again. */
const shortWaitMs = 60_000
/** Where a back-end had no slot for it. */
const slotWaitMs = 1_000

export class Queue {
  readonly entries = new Map<string, QueueEntry>()
  readonly #options: QueueOptions
  readonly #lanes = new QueueLanes()
  readonly #probes: QueueProbes
  readonly #scan: QueueScan
  readonly #timer: QueueTimer
  readonly #idle = new Set<() => void>()
  #active = 0
  #bytes = 0
  #isStopping = false

  constructor(options: QueueOptions) {
    this.#options = options
    this.#timer = new QueueTimer(options.clock, options.log, () => this.#tick())
    this.#probes = new QueueProbes(options.clock, (backend) => this.#probe(backend))
    const load = (id: string): Promise<void> => this.#load(id)
    this.#scan = new QueueScan({ ...options, known: this.entries, load })
  }

  get usage(): { readonly messages: number; readonly bytes: number } {
    return { messages: this.entries.size, bytes: this.#bytes }
  }

  /** Finds what is there, piece by piece; delivery of what is found begins meanwhile. */
  start(): Promise<void> {
    this.#timer.set(Infinity)
    return this.#scan.run()
  }

  /** Finds what nobody has told of; returns when that is done. */
  look(): Promise<void> {
    return this.#scan.run()
  }

  /** Messages that have just been taken in. */
  async notice(ids: readonly string[]): Promise<void> {
    for (const id of ids) if (!this.entries.has(id)) await this.#load(id)
  }

  /** Begins nothing new; returns when what is under way has ended. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#timer.stop()
    this.#probes.stop()
    this.#scan.stop()
    if (this.#active === 0) return
    await new Promise<void>((resolve) => this.#idle.add(resolve))
  }

  /** A back-end that could not be reached has answered: all that waits for it is due. */
  reached(backend: string): void {
    if (this.#probes.reached(backend)) this.cameUp(backend)
  }

  /** Likewise, where others have seen it. */
  cameUp(backend: string): void {
    this.#probes.reached(backend)
    this.#wake(({ unreachable }) => unreachable.includes(backend))
  }

  /** Makes one due, or all; false where there is none of that id. */
  retry(id?: string): boolean {
    if (id !== undefined && !this.entries.has(id)) return false
    this.#wake((entry) => id === undefined || entry.id === id)
    return true
  }

  /** Lets a message go without another attempt; false where there is none of that id. */
  async remove(id: string): Promise<boolean> {
    const entry = this.entries.get(id)
    if (entry === undefined) return false
    entry.isUnwanted = true
    if (entry.state !== 'active') await this.#discard(entry)
    return true
  }

  #wake(isMeant: (entry: QueueEntry) => boolean): void {
    for (const entry of this.entries.values()) {
      if (entry.state === 'waiting' && isMeant(entry)) this.#makeReady(entry)
    }
    this.#dispatch()
  }

  /** One that waits for the back-end tries it, in the order in which they are due. */
  #probe(backend: string): boolean {
    const first = firstFor(backend, this.entries.values())
    if (first === undefined) return false
    // One that is on its way already is as good.
    if (first.state === 'waiting') this.#makeReady(first)
    this.#dispatch()
    return true
  }

  async #load(id: string): Promise<void> {
    if (this.#isStopping || this.entries.has(id)) return
    try {
      const entry = await readEntry(id, this.#options)
      // Another call may have been quicker.
      if (this.entries.has(id)) return
      if (entry.crashes < crashLimit) this.#enter(entry)
      else await this.#setAside(id, 'poison', `${crashLimit} attempts have ended the process`)
    } catch (error) {
      await this.#refuse(id, error)
    }
  }

  #enter(entry: QueueEntry): void {
    this.entries.set(entry.id, entry)
    this.#bytes += entry.bytes
    this.#waitFor(entry, entry.dueAt)
    this.#dispatch()
  }

  #waitFor(entry: QueueEntry, dueAt: number): void {
    entry.dueAt = dueAt
    entry.state = 'waiting'
    if (dueAt <= this.#options.clock.now()) this.#makeReady(entry)
    else this.#timer.noLaterThan(dueAt)
  }

  #makeReady(entry: QueueEntry): void {
    entry.state = 'ready'
    this.#lanes.add(laneOf(entry), entry.id)
  }

  #tick(): void {
    const { clock } = this.#options
    let nextAt = Infinity
    for (const entry of this.entries.values()) {
      if (entry.state !== 'waiting') continue
      if (entry.dueAt <= clock.now()) this.#makeReady(entry)
      else nextAt = Math.min(nextAt, entry.dueAt)
    }
    this.#timer.set(nextAt)
    this.#dispatch()
  }

  #dispatch(): void {
    while (!this.#isStopping && this.#active < activeLimit) {
      const next = this.#lanes.next()
      if (next === undefined) return
      const entry = this.entries.get(next.id)
      if (entry?.state === 'ready') void this.#run(entry, next.lane)
      else this.#lanes.leave(next.lane)
    }
  }

  async #run(entry: QueueEntry, lane: string): Promise<void> {
    entry.state = 'active'
    this.#active++
    try {
      await this.#attempt(entry)
    } finally {
      this.#active--
      this.#lanes.leave(lane)
      if (this.#active === 0) for (const resolve of this.#idle) resolve()
      this.#dispatch()
    }
  }

  async #attempt(entry: QueueEntry): Promise<void> {
    let file: MessageFile | undefined
    try {
      file = await this.#options.store.open(entry.id)
      file.recall(entry.unsaved)
      const { clock } = this.#options
      const ageMs = entry.ageAtLoadMs + clock.now() - entry.loadedAt
      const end = await this.#options.attempt(file, ageMs, entry.only)
      await this.#conclude(entry, file, end)
    } catch (error) {
      if (file !== undefined) entry.unsaved = file.unsaved
      await this.#refuse(entry.id, error)
    } finally {
      await file?.close()
    }
  }

  async #conclude(entry: QueueEntry, file: MessageFile, end: AttemptEnd): Promise<void> {
    const { clock, random, store } = this.#options
    if (end.kind === 'settled') {
      if (end.aside !== undefined)
        await this.#setAside(entry.id, end.aside, 'see `internal` events')
      else {
        await store.remove(entry.id)
        this.#forget(entry.id)
      }
      return
    }
    const waitMs = end.hasTried ? retryWaitMs(file.progress.attempts + 1, random()) : shortWaitMs
    if (end.hasTried) {
      const at = clock.wall()
      await writeDown(file, { do: 'ended', at, next: at + waitMs }, 'lazy')
    }
    entry.unsaved = file.unsaved
    entry.crashes = 0
    entry.unreachable = end.unreachable
    entry.only = end.skipped.length > 0 ? end.skipped : undefined
    entry.backends = entry.only ?? owedAt(file)
    for (const backend of end.unreachable) this.#probes.unreachable(backend)
    if (entry.isUnwanted) await this.#discard(entry)
    // Where all slots of a back-end were taken, it lines up there.
    else if (entry.only === undefined) this.#waitFor(entry, clock.now() + waitMs)
    else this.#waitFor(entry, clock.now() + (end.hasTried ? 0 : slotWaitMs))
  }

  async #refuse(id: string, error: unknown): Promise<void> {
    const fault = faultOf(id, error)
    if (fault.kind === 'gone') this.#forget(id)
    else if (fault.kind === 'later') this.#putOff(id)
    else {
      const { reason, detail } = fault
      if (reason === 'unsynced') {
        this.#options.log('internal', { reason: 'spool_eio', detail: `${id}: ${detail}` })
      }
      await this.#setAside(id, reason, detail)
    }
  }

  #putOff(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) this.#scan.again()
    else this.#waitFor(entry, this.#options.clock.now() + shortWaitMs)
  }

  async #setAside(id: string, reason: QuarantineReason, detail: string): Promise<void> {
    try {
      await this.#options.store.quarantine(id, reason)
    } catch (error) {
      if (codeOf(error) !== 'ENOENT') {
        const text = `${id} cannot be put in quarantine: ${messageOf(error)}`
        this.#options.log('internal', { reason: 'spool_eio', detail: text })
        this.#putOff(id)
        return
      }
    }
    this.#options.log('spool.quarantined', { id, reason, detail })
    this.#forget(id)
  }

  async #discard(entry: QueueEntry): Promise<void> {
    await this.#options.store.remove(entry.id, 'durable')
    this.#options.log('queue.removed', { id: entry.id, session: entry.session })
    this.#forget(entry.id)
  }

  #forget(id: string): void {
    const entry = this.entries.get(id)
    if (entry === undefined) return
    this.entries.delete(id)
    this.#bytes -= entry.bytes
  }
}
