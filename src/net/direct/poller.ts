/**
 * Tells connections what the kernel has to tell of them. All of them are in one set of epoll(7), whose
 * descriptor Node's loop watches: when it wakes, those with news have their turn, one after the other,
 * in a call of the loop's own, like any event of Node.
 */
import {
  edgeTriggered,
  interrupted,
  type LoopWatch,
  pollChange,
  pollEvents,
} from './system-calls.ts'
import type { SystemCalls } from './system-calls.ts'

/** What the poller tells. */
export interface Polled {
  /** Something has changed: what of `pollEvents` there is. */
  noted(events: number): void
  /** It has asked for a turn, or there was something to note. */
  haveTurn(): void
}

const connectionEvents = pollEvents.in | pollEvents.out | pollEvents.peerEnded | edgeTriggered

export class Poller {
  readonly calls: SystemCalls
  readonly #poll: number
  readonly #loop: LoopWatch
  /** By descriptor. */
  readonly #polled: (Polled | undefined)[] = []
  #count = 0
  #waiting: Polled[] = []
  #isScheduled = false
  #hasNews = false

  /** Throws where the system does not allow it. */
  constructor(calls: SystemCalls) {
    this.calls = calls
    this.#poll = calls.createPoll()
    if (this.#poll < 0) throw new Error('epoll_create1')
    this.#loop = calls.watchByLoop(this.#poll, () => {
      this.#hasNews = true
      this.#schedule()
    })
  }

  /** Each change of a connection is told once. Returns 0 or a negative error number. */
  addConnection(descriptor: number, polled: Polled): number {
    return this.#add(descriptor, polled, connectionEvents)
  }

  /** Told again as long as clients wait. */
  addListener(descriptor: number, polled: Polled): number {
    return this.#add(descriptor, polled, pollEvents.in)
  }

  #add(descriptor: number, polled: Polled, events: number): number {
    const result = this.calls.changePoll(this.#poll, pollChange.add, descriptor, events)
    if (result < 0) return result
    this.#polled[descriptor] = polled
    if (this.#count++ === 0) this.#loop.keepAlive(true)
    return 0
  }

  /** From now on it is `polled` that is told of the descriptor, beginning with `events` and what there may be. */
  handOver(descriptor: number, polled: Polled, events = 0): void {
    this.#polled[descriptor] = polled
    polled.noted(events | pollEvents.in | pollEvents.out)
  }

  /** Of a descriptor that goes on. */
  remove(descriptor: number): void {
    this.calls.changePoll(this.#poll, pollChange.remove, descriptor, 0)
    this.#forget(descriptor)
  }

  /** Closes the descriptor, which nobody else has. */
  close(descriptor: number): void {
    this.#forget(descriptor)
    this.calls.close(descriptor)
  }

  /** `polled` has its turn soon, but not within this call. To be asked for once. */
  askTurn(polled: Polled): void {
    this.#waiting.push(polled)
    this.#schedule()
  }

  #forget(descriptor: number): void {
    if (this.#polled[descriptor] === undefined) return
    this.#polled[descriptor] = undefined
    if (--this.#count === 0) this.#loop.keepAlive(false)
  }

  #schedule(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.#giveTurns)
  }

  readonly #giveTurns = (): void => {
    this.#isScheduled = false
    if (this.#hasNews) this.#look()
    const turns = this.#waiting
    this.#waiting = []
    let at = 0
    try {
      while (at < turns.length) turns[at++]?.haveTurn()
    } finally {
      // What one has thrown is not to cost the others their turns: they are told of no change twice.
      if (at < turns.length) this.#waiting = [...turns.slice(at), ...this.#waiting]
      if (this.#waiting.length > 0) this.#schedule()
    }
  }

  #look(): void {
    this.#hasNews = false
    const { calls } = this
    const count = calls.poll(this.#poll)
    // Anything else than a signal would be a fault of ours; Node's loop tells of it again.
    if (count === interrupted) return
    for (let index = 0; index < count; index++) {
      this.#polled[calls.descriptorAt(index)]?.noted(calls.eventsAt(index))
    }
  }
}
