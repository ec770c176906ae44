/**
 * Deadlines of many sessions by one interval: a hashed wheel. A deadline is met up to two ticks
 * late and never early. Time is counted in ticks, not read from a clock, so that after a stall of
 * the event loop every session gets its turn before its deadline is looked at.
 */
import { Chain, type Link } from './chain.ts'

interface Due {
  readonly tick: number
  readonly link: Link<Timed>
}

/** What can have one deadline. Implemented by the objects that wait. */
export interface Timed {
  /** The wheel's own; undefined where no deadline is set. */
  due: Due | undefined
  /** The time is up; no deadline is set any more. */
  timedOut(): void
}

const slotCount = 128

export class DeadlineWheel {
  readonly #tickMs: number
  readonly #slots: Chain<Timed>[] = Array.from({ length: slotCount }, () => new Chain())
  #size = 0
  #timer: NodeJS.Timeout | undefined
  /** Counts up while anything waits. */
  tick = 1

  constructor(tickMs: number) {
    this.#tickMs = tickMs
  }

  /** Sets the one deadline of `item`, in milliseconds from now; an older one is forgotten. */
  arm(item: Timed, waitMs: number): void {
    this.disarm(item)
    const tick = this.tick + Math.max(1, Math.ceil(waitMs / this.#tickMs)) + 1
    item.due = { tick, link: this.#slotOf(tick).add(item) }
    this.#size++
    this.#timer ??= setInterval(() => this.#advance(), this.#tickMs)
  }

  disarm(item: Timed): void {
    const { due } = item
    if (due === undefined) return
    this.#slotOf(due.tick).remove(due.link)
    item.due = undefined
    this.#size--
    if (this.#size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Milliseconds since a value of `tick`, within a tick. */
  since(tick: number): number {
    return (this.tick - tick) * this.#tickMs
  }

  #slotOf(tick: number): Chain<Timed> {
    const slot = this.#slots[tick % slotCount]
    if (slot === undefined) throw new Error('a slot for every remainder')
    return slot
  }

  #advance(): void {
    this.tick++
    for (const item of this.#slotOf(this.tick)) {
      // An item that another one's end has disarmed, or armed anew, is not due.
      if (item.due?.tick !== this.tick) continue
      this.disarm(item)
      item.timedOut()
    }
  }
}

/** The deadlines of this process. */
export const deadlines = new DeadlineWheel(100)
