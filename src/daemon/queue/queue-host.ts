/**
 * The queue as a child of the supervisor: takes settings as workers do, holds the spool, and lets the
 * queue work with what is in force. Beside it nothing removes messages from the spool.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { SmtpPool } from '../../backend/smtp-pool.ts'
import { MailmuxError } from '../../base/error.ts'
import { printable } from '../../base/log.ts'
import { FileSpoolWriter } from '../../spool/file-spool-writer.ts'
import { spoolPlaces } from '../../spool/spool-places.ts'
import { SpoolStore } from '../../spool/spool-store.ts'
import { realDisk } from '../../storage/disk.ts'
import { raiseBarrier } from '../barrier.ts'
import type { Ask, Replies, WorkerReport } from '../channel.ts'
import { CounterTable } from '../counters.ts'
import { type LogWriter, openLog } from '../log-writer.ts'
import { NextGeneration } from '../next-generation.ts'
import { Queue } from './queue.ts'
import { type AttemptTools, QueueAttempt } from './queue-attempt.ts'
import type { QueueDelivery } from './queue-delivery.ts'
import { figuresOf } from './queue-figures.ts'
import { QueueReports } from './queue-reports.ts'
import { performRequest } from './queue-requests.ts'
import { QueueSlots } from './queue-slots.ts'
import { planFor } from '../relay/relay-route.ts'
import { type Supervised, tell } from '../supervised.ts'
import { systemClock } from '../../backend/system-clock.ts'
import { WorkerRuntime } from '../worker-runtime.ts'

const usageEveryMs = 1_000
/** How long the spool may still be in the hands of a process that is ending. */
const busyMs = 5_000
const busyPauseMs = 100
/** For outcomes to be written down when deliveries are cut off. */
const afterAbortMs = 2_000
const stackChars = 1000

export interface QueueHostOptions {
  readonly number: number
  readonly hasCrashed: boolean
}

export class QueueHost implements Supervised {
  readonly #options: QueueHostOptions
  readonly #logWriter: LogWriter
  readonly #runtime: WorkerRuntime
  readonly #next: NextGeneration
  readonly #pool = new SmtpPool()
  readonly #deliveries = new Set<QueueDelivery>()
  #store: SpoolStore | undefined
  #queue: Queue | undefined
  #told = ''
  #failing = false
  #stopped: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(options: QueueHostOptions) {
    const counters = new CounterTable()
    this.#options = options
    this.#logWriter = openLog({ worker: options.number, counters })
    this.#runtime = new WorkerRuntime(options.number, counters, this.#logWriter)
    this.#next = new NextGeneration(this.#runtime.log)
    this.#runtime.reportBreakers(() => this.#pool.breakers)
    setInterval(() => this.#tellUsage(), usageEveryMs)
  }

  async perform(ask: Ask): Promise<Replies[Ask['do']]> {
    switch (ask.do) {
      case 'prepare':
        for (const notice of ask.freezes) this.#runtime.freezes.add(notice)
        return this.#next.prepare(ask.settings, ask.changes, async () => {
          this.#store ??= await openWhenFree(ask.settings.config.stateDir)
        })
      case 'commit':
        this.#commit()
        return null
      case 'abort':
        this.#next.giveUp()
        return null
      case 'report':
        return this.#report()
      case 'spooled':
        await this.#queue?.notice(ask.ids)
        return null
      case 'look':
        await this.#queue?.look()
        return null
      case 'backend-up':
        this.#cameUp(ask.backend)
        return null
      case 'spool-usage':
        return null
      case 'queue':
        return this.#request(ask.request)
      case 'freeze': {
        const freeze = this.#runtime.freezes.add(ask.notice)
        return raiseBarrier(freeze, { sessions: [], deliveries: this.#deliveries })
      }
      case 'thaw':
        this.#runtime.freezes.thaw(ask.user, ask.epoch)
        return null
      case 'who':
      case 'kick':
        throw new Error('the queue has no sessions')
      case 'stop':
        return this.#stop(ask.drainMs)
      default:
        return ask satisfies never
    }
  }

  #commit(): void {
    const next = this.#next.take()
    if (next === undefined || this.#store === undefined) return
    const { settings, generation } = next
    this.#runtime.replaceGeneration(generation, settings)
    if (this.#queue !== undefined) return
    this.#queue = this.#makeQueue(this.#store)
    void this.#queue.start()
  }

  #makeQueue(store: SpoolStore): Queue {
    const { log } = this.#runtime
    const writer = new FileSpoolWriter({
      disk: realDisk,
      places: store.places,
      // Notifications must not wait for room that their messages take.
      caps: { maxMessages: Infinity, maxSizeBytes: Infinity },
      clock: systemClock,
      accepted: (id) => void queue.notice([id]),
      suspect: (detail) => log('internal', { reason: 'spool_eio', detail }),
    })
    const slots = new QueueSlots()
    const runtime = this.#runtime
    const tools: AttemptTools = {
      get current() {
        return runtime.current
      },
      log,
      clock: systemClock,
      pool: this.#pool,
      writer,
      reports: new QueueReports(writer, systemClock),
      deliveries: this.#deliveries,
      freezes: runtime.freezes,
      retry: (id) => void queue.retry(id),
      takeSlot: (backend) => slots.take(backend),
      freeSlot: (backend) => slots.free(backend),
      reached: (backend) => queue.reached(backend),
    }
    const queue: Queue = new Queue({
      store,
      clock: systemClock,
      log,
      random: () => Math.random(),
      hasCrashed: this.#options.hasCrashed,
      attempt: (file, ageMs, only) => new QueueAttempt(file, ageMs, tools).run(only),
    })
    return queue
  }

  #request(request: Extract<Ask, { do: 'queue' }>['request']): Promise<Replies['queue']> {
    if (this.#queue === undefined || this.#store === undefined) {
      throw new Error('asked before the first settings')
    }
    return performRequest(request, this.#store, this.#queue, systemClock)
  }

  async #report(): Promise<WorkerReport> {
    const report = this.#runtime.report()
    if (this.#queue === undefined || this.#store === undefined) return report
    const quarantined = await this.#store.countQuarantined()
    const entries = this.#queue.entries.values()
    return { ...report, spool: figuresOf(entries, systemClock.now(), quarantined) }
  }

  #cameUp(backend: string): void {
    const plan = planFor(this.#runtime.current, backend)
    // What was met before need not be waited for any more.
    if (typeof plan !== 'string') this.#pool.succeeded(plan)
    this.#queue?.cameUp(backend)
  }

  /** May be asked again, with less time. */
  async #stop(drainMs: number): Promise<{ drained: boolean }> {
    const stopped = (this.#stopped ??= this.#queue?.stop() ?? Promise.resolve())
    const drained = await isOverWithin(stopped, drainMs)
    if (!drained) {
      for (const delivery of this.#deliveries) delivery.abort()
      await isOverWithin(stopped, afterAbortMs)
    }
    await (this.#closed ??= this.#close())
    return { drained }
  }

  async #close(): Promise<void> {
    this.#pool.close()
    this.#store?.[Symbol.dispose]()
    await this.#logWriter.finish()
    tell({ kind: 'report', report: this.#runtime.report() })
  }

  #tellUsage(): void {
    if (this.#queue === undefined) return
    const { usage } = this.#queue
    const text = JSON.stringify(usage)
    if (text === this.#told) return
    this.#told = text
    tell({ kind: 'spool-usage', usage })
  }

  /** A fault of ours: what was promised is in the files, and the next process finds it there. */
  fail(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#runtime.log('internal', { reason: 'exception', detail: printable(text, stackChars) })
    if (this.#failing) process.exit(1)
    this.#failing = true
    tell({ kind: 'failing' })
    void this.#exit()
  }

  async #exit(): Promise<void> {
    await this.#logWriter.finish()
    process.exit(1)
  }

  flush(): void {
    this.#logWriter.flush()
  }
}

/** After a daemon that was killed, its queue may live on for a moment. */
async function openWhenFree(stateDir: string): Promise<SpoolStore> {
  const end = systemClock.now() + busyMs
  for (;;) {
    try {
      return await SpoolStore.open(realDisk, spoolPlaces(stateDir))
    } catch (error) {
      const isBusy = error instanceof MailmuxError && error.code === 'SPOOL_BUSY'
      if (!isBusy || systemClock.now() > end) throw error
    }
    await delay(busyPauseMs)
  }
}

async function isOverWithin(work: Promise<void>, timeMs: number): Promise<boolean> {
  const late = new AbortController()
  const { signal } = late
  const isOver = await Promise.race([
    work.then(() => true),
    delay(timeMs, false, { signal }).catch(() => false),
  ])
  late.abort()
  return isOver
}
