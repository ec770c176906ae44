/**
 * Logins of an address that are under way, over all workers: so many at once that a household or an
 * office notices nothing, and so few that guessing in parallel is no faster. Others wait for their
 * turn, in the order in which they came to this worker.
 */
import { waits } from '../../base/limit.ts'
import type { LoginBrakes } from '../admission/login-brakes.ts'

/** How often it is looked whether another worker has left a place. */
const pollMs = 100

/** Called once, unless its turn is ended before. */
export interface TurnWaiter {
  hasTurn(): void
  /** It has waited in vain. */
  hasNone(): void
}

export class LoginTurns {
  readonly #brakes: LoginBrakes
  readonly #queues = new Map<string, LoginTurn[]>()
  #timer: NodeJS.Timeout | undefined

  constructor(brakes: LoginBrakes) {
    this.#brakes = brakes
  }

  /** Where there is a place at once the turn has it, and `waiter` is not called. */
  take(address: string, waiter: TurnWaiter): LoginTurn {
    const queue = this.#queues.get(address)
    const leave = queue === undefined ? this.#brakes.enter(address) : undefined
    const turn = new LoginTurn(this, address, waiter)
    if (leave !== undefined) turn.enter(leave)
    else if (queue !== undefined) queue.push(turn)
    else {
      this.#queues.set(address, [turn])
      this.#timer ??= setInterval(() => this.#lookAtAll(), pollMs)
    }
    return turn
  }

  /** A place may be free. */
  look(address: string): void {
    const queue = this.#queues.get(address)
    if (queue === undefined) return
    for (let [turn] = queue; turn !== undefined; [turn] = queue) {
      const leave = this.#brakes.enter(address)
      if (leave === undefined) return
      queue.shift()
      turn.enter(leave)
      turn.tell()
    }
    this.#forget(address)
  }

  drop(address: string, turn: LoginTurn): void {
    const queue = this.#queues.get(address) ?? []
    const index = queue.indexOf(turn)
    if (index !== -1) queue.splice(index, 1)
    if (queue.length === 0) this.#forget(address)
  }

  #lookAtAll(): void {
    const tooEarly = performance.now() - waits.loginTurnMs
    for (const [address, queue] of this.#queues) {
      for (const turn of queue.filter(({ since }) => since < tooEarly)) turn.giveUp()
      this.look(address)
    }
  }

  #forget(address: string): void {
    this.#queues.delete(address)
    if (this.#queues.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

export class LoginTurn {
  readonly since = performance.now()
  readonly #turns: LoginTurns
  readonly #address: string
  #waiter: TurnWaiter | undefined
  #leave: (() => void) | undefined

  constructor(turns: LoginTurns, address: string, waiter: TurnWaiter) {
    this.#turns = turns
    this.#address = address
    this.#waiter = waiter
  }

  get hasPlace(): boolean {
    return this.#leave !== undefined
  }

  enter(leave: () => void): void {
    this.#leave = leave
  }

  tell(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.hasTurn()
  }

  giveUp(): void {
    const waiter = this.#waiter
    this.end()
    waiter?.hasNone()
  }

  /** Leaves its place, or no longer waits for one; after so many milliseconds. */
  end(afterMs = 0): void {
    this.#waiter = undefined
    const leave = this.#leave
    if (leave === undefined) this.#turns.drop(this.#address, this)
    this.#leave = undefined
    if (leave === undefined) return
    const vacate = (): void => {
      leave()
      this.#turns.look(this.#address)
    }
    if (afterMs > 0) setTimeout(vacate, afterMs).unref()
    else vacate()
  }
}
