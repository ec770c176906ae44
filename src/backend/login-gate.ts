/**
 * How many logins may be under way at a back-end at once, from this worker: one that is slow, or that
 * has just come back and that everybody wants at the same time, neither gets more than it can do nor
 * keeps others from theirs. Who finds no place waits a little, in the order of coming.
 *
 * A place is held while the back-end is to speak; not while its client is, who may take as long as it
 * likes.
 */
import { waits } from '../base/limit.ts'
import { deadlines, type Timed } from '../net/deadline.ts'

/** Called once, later than the constructor returns, unless the turn is left before. */
interface GateWaiter {
  hasTurn(): void
  /** It has waited in vain. */
  hasNone(): void
}

export class LoginGate {
  /** How many may be under way; who is there stays when it becomes less. */
  limit: number
  #inside = 0
  /** In the order of coming. */
  readonly #waiting = new Set<GateTurn>()

  constructor(limit: number) {
    this.limit = limit
  }

  /** Where there is a place at once the turn has it, and `waiter` is not called. */
  take(waiter: GateWaiter): GateTurn {
    const turn = new GateTurn(this, waiter)
    if (this.#waiting.size === 0 && this.#inside < this.limit) {
      this.#inside++
      turn.enter()
    } else {
      this.#waiting.add(turn)
      // Who came together is not told in the same moment: clients come again when they are told.
      deadlines.arm(turn, waits.backendTurnMs - Math.random() * waits.backendTurnSpreadMs)
    }
    return turn
  }

  forget(turn: GateTurn): void {
    this.#waiting.delete(turn)
  }

  leave(): void {
    this.#inside--
    for (const turn of this.#waiting) {
      if (this.#inside >= this.limit) return
      this.#waiting.delete(turn)
      this.#inside++
      turn.enter()
      turn.tell()
    }
  }
}

export class GateTurn implements Timed {
  due: Timed['due']
  readonly #gate: LoginGate
  #waiter: GateWaiter | undefined
  #hasPlace = false

  constructor(gate: LoginGate, waiter: GateWaiter) {
    this.#gate = gate
    this.#waiter = waiter
  }

  get hasPlace(): boolean {
    return this.#hasPlace
  }

  enter(): void {
    deadlines.disarm(this)
    this.#hasPlace = true
  }

  tell(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.hasTurn()
  }

  timedOut(): void {
    const waiter = this.#waiter
    this.leave()
    waiter?.hasNone()
  }

  /** Leaves its place, or no longer waits for one. */
  leave(): void {
    this.#waiter = undefined
    deadlines.disarm(this)
    if (!this.#hasPlace) this.#gate.forget(this)
    else this.#gate.leave()
    this.#hasPlace = false
  }
}
