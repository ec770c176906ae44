/** What a worker keeps of one place that it sends messages to: connections, who waits, its health. */
import { deadlines, type Timed } from '../net/deadline.ts'
import { BackendBreaker } from './backend-breaker.ts'
import type { SmtpConnection } from './smtp-connection.ts'

/** Who waits until there is room for one more connection. Told one of the two, once. */
export interface RoomWaiter {
  /** There is room, as long as this call lasts. */
  roomMade(): void
  waitedInVain(): void
}

class Waiting implements Timed {
  due: Timed['due']
  readonly waiter: RoomWaiter
  readonly #place: BackendPlace

  constructor(waiter: RoomWaiter, place: BackendPlace) {
    this.waiter = waiter
    this.#place = place
  }

  timedOut(): void {
    this.#place.forget(this)
    this.waiter.waitedInVain()
  }
}

export class BackendPlace {
  readonly breaker = new BackendBreaker()
  /** Connections that wait for their next message, the last used last. */
  readonly idle: SmtpConnection[] = []
  /** Connections that somebody has. */
  leased = 0
  readonly #waiting = new Set<Waiting>()

  /** Returns how to wait no longer. */
  wait(waiter: RoomWaiter, waitMs: number): () => void {
    const waiting = new Waiting(waiter, this)
    this.#waiting.add(waiting)
    deadlines.arm(waiting, waitMs)
    return () => this.forget(waiting)
  }

  forget(waiting: Waiting): void {
    this.#waiting.delete(waiting)
    deadlines.disarm(waiting)
  }

  /** Somebody has one connection less: who waits longest may have it. */
  returned(): void {
    this.leased--
    const [first] = this.#waiting
    if (first === undefined) return
    this.forget(first)
    first.waiter.roomMade()
  }
}
