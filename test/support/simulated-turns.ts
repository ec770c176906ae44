/**
 * Who is served next in a simulated world. Whatever comes over the sockets waits until nothing more
 * comes by itself; then one of those who wait is drawn, and served. So the order in which servers
 * answer is the seed's and not the kernel's, as far as whoever asks needs no more than a few turns of
 * the event loop to ask for the next. Time passes when nobody waits for an answer.
 */
import { setImmediate as turn } from 'node:timers/promises'
import type { Random } from './random.ts'
import type { SimulatedClock } from './simulated-clock.ts'
import { isUnderWay } from './simulated-wire.ts'

/** Turns of the event loop in which nothing has come. */
const quietTurns = 4
/** Then nobody is about to ask, either: files are read in other threads. */
const stillTurns = 120

export interface Waiting {
  /** Rising in the order in which they came into being. */
  readonly id: number
  /** False: nothing is to be done for it. */
  readonly isReady: boolean
  serve(): void | Promise<void>
}

export class Turns {
  readonly waiting = new Set<Waiting>()
  #hasCome = false
  #ids = 0
  #random: Random = () => 0

  /** From now on draws are of this. */
  begin(random: Random): void {
    this.#random = random
    this.#ids = 0
  }

  get nextId(): number {
    return this.#ids++
  }

  /** Something has come. */
  come(): void {
    this.#hasCome = true
  }

  /** Serves until `work` is done. `onWait`: told when time passes. */
  async during<Result>(
    work: Promise<Result>,
    clock: SimulatedClock,
    onWait: () => Promise<void>,
  ): Promise<Result> {
    const state = { isOver: false }
    const end = (): void => void (state.isOver = true)
    work.then(end, end)
    for (let quiet = 0; !state.isOver; ) {
      await turn()
      quiet = this.#hasCome || isUnderWay() ? 0 : quiet + 1
      this.#hasCome = false
      if (quiet < quietTurns) continue
      const ready = [...this.waiting].filter(({ isReady }) => isReady)
      ready.sort((one, other) => one.id - other.id)
      // Nothing is drawn for nothing: how often it is looked is not the seed's.
      const next = ready.length === 0 ? undefined : ready[Math.floor(this.#random() * ready.length)]
      if (next !== undefined) {
        quiet = 0
        await next.serve()
      } else if (quiet >= stillTurns && Number.isFinite(clock.nextDueMs)) {
        quiet = 0
        await onWait()
        // It may have been called off meanwhile.
        if (Number.isFinite(clock.nextDueMs)) clock.advance(clock.nextDueMs - clock.now())
      }
    }
    return await work
  }
}
