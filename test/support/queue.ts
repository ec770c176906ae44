/** A queue on a spool of its own, with scripted back-ends, in this process. */
import { SmtpPool } from '../../src/backend/smtp-pool.ts'
import type { Clock } from '../../src/base/clock.ts'
import { Queue } from '../../src/daemon/queue/queue.ts'
import { type AttemptTools, QueueAttempt } from '../../src/daemon/queue/queue-attempt.ts'
import type { QueueDelivery } from '../../src/daemon/queue/queue-delivery.ts'
import { QueueReports } from '../../src/daemon/queue/queue-reports.ts'
import { QueueSlots } from '../../src/daemon/queue/queue-slots.ts'
import { systemClock } from '../../src/backend/system-clock.ts'
import type { Resolution } from '../../src/mail/route.ts'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import { spoolPlaces } from '../../src/spool/spool-places.ts'
import { SpoolStore } from '../../src/spool/spool-store.ts'
import type { SpooledContent, SpooledEnvelope } from '../../src/spool/spooled-message.ts'
import { type Disk, realDisk } from '../../src/storage/disk.ts'
import { users } from './relay.ts'
import { TestRuntime } from './test-runtime.ts'

export interface TestQueueOptions {
  readonly stateDir: string
  /** Back-ends by name: a port, or settings in YAML's flow style. */
  readonly backends: Readonly<Record<string, number | string>>
  readonly routes?: Readonly<Record<string, Resolution>>
  /** Further lines of the config. */
  readonly config?: string
  readonly clock?: Clock
  readonly disk?: Disk
  readonly hasCrashed?: boolean
}

export class TestQueue implements AsyncDisposable {
  readonly runtime: TestRuntime
  readonly queue: Queue
  readonly store: SpoolStore
  readonly writer: FileSpoolWriter
  readonly pool = new SmtpPool()
  readonly deliveries = new Set<QueueDelivery>()
  #isOver = false

  private constructor(options: TestQueueOptions, store: SpoolStore) {
    const { clock = systemClock, disk = realDisk } = options
    const backends = Object.entries(options.backends).map(([name, value]) => {
      const settings = typeof value === 'number' ? `smtp: ${value}, tls: none` : value
      return `  ${name}: {host: 127.0.0.1, ${settings}}\n`
    })
    this.runtime = new TestRuntime({
      config:
        'hostname: mx.example.com\ndomains: [example.com]\n' +
        `backends:\n${backends.join('')}${options.config ?? ''}`,
      routes: options.routes ?? users,
    })
    this.store = store
    const { runtime } = this
    const caps = { maxMessages: Infinity, maxSizeBytes: Infinity }
    this.writer = new FileSpoolWriter({
      disk,
      places: store.places,
      caps,
      clock,
      accepted: (id) => void this.queue.notice([id]),
    })
    const slots = new QueueSlots()
    const tools: AttemptTools = {
      get current() {
        return runtime.current
      },
      log: runtime.log,
      clock,
      pool: this.pool,
      writer: this.writer,
      reports: new QueueReports(this.writer, clock),
      deliveries: this.deliveries,
      freezes: runtime.freezes,
      retry: (id) => void this.queue.retry(id),
      takeSlot: (backend) => slots.take(backend),
      freeSlot: (backend) => slots.free(backend),
      reached: (backend) => this.queue.reached(backend),
    }
    this.queue = new Queue({
      store,
      clock,
      log: runtime.log,
      random: () => 0.5,
      hasCrashed: options.hasCrashed ?? false,
      attempt: (file, ageMs, only) => new QueueAttempt(file, ageMs, tools).run(only),
    })
  }

  static async start(options: TestQueueOptions): Promise<TestQueue> {
    const store = await SpoolStore.open(options.disk ?? realDisk, spoolPlaces(options.stateDir))
    const started = new TestQueue(options, store)
    await started.queue.start()
    return started
  }

  accept(envelope: SpooledEnvelope, content: SpooledContent): Promise<string> {
    return this.writer.accept(envelope, content)
  }

  /** What each recipient of a message that waits has come to. */
  async results(id: string): Promise<string[]> {
    const file = await this.store.open(id)
    try {
      return file.progress.recipients.map(({ result }) => result)
    } finally {
      await file.close()
    }
  }

  /** Ends it as a process would end that was killed: deliveries are cut, nothing more is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOver) return
    this.#isOver = true
    const stopped = this.queue.stop()
    for (const delivery of this.deliveries) delivery.abort()
    await stopped
    this.pool.close()
    this.store[Symbol.dispose]()
  }
}
