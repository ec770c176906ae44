/**
 * Finds what the spool holds: at the start, when a worker has died that may have told nobody, and every
 * few minutes. A few files at a time, so that delivery goes on meanwhile.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { SpoolStore } from '../../spool/spool-store.ts'
import { coalesce } from '../coalesce.ts'
import type { QueueEntry } from './queue-entry.ts'

export interface ScanOptions {
  readonly store: SpoolStore
  readonly clock: Clock
  readonly log: Log
  readonly known: ReadonlyMap<string, QueueEntry>
  readonly load: (id: string) => Promise<void>
}

const everyMs = 300_000
const soonMs = 60_000
const atOnce = 8

export class QueueScan {
  readonly #options: ScanOptions
  /** Names that were told of already. */
  readonly #odd = new Set<string>()
  #isStopped = false
  #isFirst = true
  /** Something could not be looked at. */
  #isIncomplete = false
  #cancel: () => void = () => undefined

  constructor(options: ScanOptions) {
    this.#options = options
  }

  /** Returns when all was looked at that was there before; goes on by itself afterwards. */
  readonly run = coalesce(() => this.#look())

  async #look(): Promise<void> {
    if (this.#isStopped) return
    this.#isIncomplete = false
    try {
      await this.#once()
    } catch (error) {
      const detail = `the spool cannot be listed: ${messageOf(error)}`
      this.#options.log('internal', { reason: 'spool_eio', detail })
    }
    this.#next(this.#isIncomplete ? soonMs : everyMs)
  }

  /** Some of it could not be looked at now. */
  again(): void {
    this.#isIncomplete = true
    this.#next(soonMs)
  }

  stop(): void {
    this.#isStopped = true
    this.#cancel()
  }

  #next(waitMs: number): void {
    this.#cancel()
    if (this.#isStopped) return
    this.#cancel = this.#options.clock.after(waitMs, () => void this.run())
  }

  async #once(): Promise<void> {
    const { store, clock, log, known, load } = this.#options
    const startedAt = clock.now()
    const { ids, odd } = await store.contents()
    for (const name of odd) {
      if (!this.#odd.has(name)) log('spool.odd', { name })
      this.#odd.add(name)
    }
    const unknown = ids.filter((id) => !known.has(id)).values()
    const work = async (): Promise<void> => {
      for (const id of unknown) {
        if (this.#isStopped) return
        await load(id)
      }
    }
    await Promise.all(Array.from({ length: atOnce }, work))
    await store.removeLeftovers(clock.wall())
    if (!this.#isFirst || this.#isStopped) return
    this.#isFirst = false
    let bytes = 0
    for (const entry of known.values()) bytes += entry.bytes
    log('spool.ready', {
      messages: known.size,
      bytes,
      quarantined: (await store.quarantined()).length,
      duration_ms: Math.round(clock.now() - startedAt),
    })
  }
}
