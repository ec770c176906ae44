/**
 * What may be taken of one server in a day of the calendar, by all runs together. Each piece of work
 * is written down before it begins, with as many octets as it will take; how many those were is put
 * right with the next. A run that is killed has written down too many rather than too few.
 *
 * A piece that is larger than half of the limit begins while half of it is left, and so may exceed it:
 * else a large message would never be copied.
 */
import type { Clock } from '../base/clock.ts'
import { MailmuxError } from '../base/error.ts'

/** The counts of all processes. `day` as YYYY-MM-DD. */
export interface DayCounts {
  /** Adds, unless there would be more than `most` then; what it adds is durable. */
  add(of: { readonly server: string; readonly day: string }, bytes: number, most?: number): boolean
}

export interface DayLimitOptions {
  readonly server: string
  readonly mostBytes: number
  readonly counts: DayCounts
  readonly clock: Clock
}

export class DayLimit {
  readonly #options: DayLimitOptions
  #day: string
  /** Written down and not taken yet; below nothing: taken and not written down. */
  #ahead = 0
  #isDoubtful = false

  constructor(options: DayLimitOptions) {
    this.#options = options
    this.#day = dayOf(options.clock.wall())
  }

  /** What one piece of work should not take more than, so that many fit into a day. */
  get pieceBytes(): number {
    return Math.max(65_536, Math.floor(this.#options.mostBytes / 16))
  }

  spend(bytes: number): void {
    this.#ahead -= bytes
  }

  /** What was written down for work that has failed is not taken any more. */
  forgo(): void {
    this.#isDoubtful = true
  }

  /** Before so many are taken. Throws DAY_LIMIT_REACHED where it is not urgent, and what `counts` does. */
  admit(bytes: number, isUrgent: boolean): void {
    const { server, mostBytes, counts, clock } = this.#options
    const day = dayOf(clock.wall())
    if (this.#isDoubtful || day !== this.#day) this.settle()
    this.#day = day
    const owed = Math.max(0, -this.#ahead)
    const least = Math.min(bytes, mostBytes / 2)
    const most = isUrgent ? undefined : mostBytes + bytes - least
    if (counts.add({ server, day }, bytes + owed, most)) {
      this.#ahead += bytes + owed
      return
    }
    const what = `${server}: what may be copied in a day (${mostBytes} octets) was on ${day}`
    throw new MailmuxError('DAY_LIMIT_REACHED', what)
  }

  /** Puts right what was written down. To be called at the end. */
  settle(): void {
    const { server, counts } = this.#options
    if (this.#ahead !== 0) counts.add({ server, day: this.#day }, -this.#ahead)
    this.#ahead = 0
    this.#isDoubtful = false
  }
}

/** By the calendar of this host. */
export function dayOf(wallMs: number): string {
  const date = new Date(wallMs)
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
