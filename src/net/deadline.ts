/**
 * Deadlines of many sessions by one interval: a hashed wheel. A deadline is met up to two ticks
 * late and never early. Time is counted in ticks, not read from a clock, so that after a stall of
 * the event loop every session gets its turn before its deadline is looked at.
 */

/** What can have one deadline. Implemented by the objects that wait, so that none is added. */
export interface Timed {
  /** The wheel's own; 0 where no deadline is set. */
  dueTick: number
  /** The time is up; no deadline is set any more. */
  timedOut(): void
}

const slotCount = 128

export class DeadlineWheel {
  readonly #tickMs: number
  readonly #slots: Set<Timed>[] = Array.from({ length: slotCount }, () => new Set())
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
    item.dueTick = this.tick + Math.max(1, Math.ceil(waitMs / this.#tickMs)) + 1
    this.#slotOf(item).add(item)
    this.#size++
    this.#timer ??= setInterval(() => this.#advance(), this.#tickMs)
  }

  disarm(item: Timed): void {
    if (item.dueTick === 0) return
    this.#slotOf(item).delete(item)
    item.dueTick = 0
    this.#size--
    if (this.#size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  /** Milliseconds since a value of `tick`, within a tick. */
  since(tick: number): number {
    return (this.tick - tick) * this.#tickMs
  }

  #slotOf(item: Timed): Set<Timed> {
    const slot = this.#slots[item.dueTick % slotCount]
    if (slot === undefined) throw new Error('a slot for every remainder')
    return slot
  }

  #advance(): void {
    this.tick++
    const due = [...(this.#slots[this.tick % slotCount] ?? [])]
    for (const item of due) {
      // An item that another one's end has disarmed, or armed anew, is not due.
      if (item.dueTick !== this.tick) continue
      this.disarm(item)
      item.timedOut()
    }
  }
}

/** The deadlines of this process. */
export const deadlines = new DeadlineWheel(100)
