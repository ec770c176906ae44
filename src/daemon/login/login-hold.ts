/**
 * A login that waits for the thaw of its user, so that most people never notice a move. It holds what
 * the client has sent, and no connection to a back-end.
 */
import { limits } from '../../base/limit.ts'
import type { EventFields } from '../../base/log.ts'
import type { Freeze } from '../freezes.ts'
import type { PeerFields } from './login-protocol.ts'
import type { Runtime } from '../runtime.ts'

export interface HoldWaiter {
  thawed(): void
  heldInVain(): void
}

/** Whether one more may wait. A worker that is short of room keeps nobody waiting. */
export function mayHold({ freezes, isCrowded, current }: Runtime): boolean {
  return freezes.held < limits.heldLogins && !isCrowded && current.config.move.holdMs > 0
}

export class LoginHold {
  readonly #user: string
  readonly #runtime: Runtime
  readonly #fields: PeerFields
  readonly #timer: NodeJS.Timeout
  readonly #forget: () => void
  readonly #since = performance.now()
  #isOver = false

  /** Tells `waiter` of its end once, unless it is ended before. */
  constructor(freeze: Freeze, runtime: Runtime, fields: PeerFields, waiter: HoldWaiter) {
    this.#user = freeze.user
    this.#runtime = runtime
    this.#fields = fields
    runtime.freezes.held++
    this.#forget = freeze.onThaw(() => {
      this.#finish('thawed')
      waiter.thawed()
    })
    this.#timer = setTimeout(() => {
      this.#finish('in_vain')
      waiter.heldInVain()
    }, runtime.current.config.move.holdMs)
  }

  /** The client has given up. */
  end(): void {
    this.#finish('gone')
  }

  #finish(outcome: EventFields['login.held']['outcome']): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#forget()
    this.#runtime.freezes.held--
    const waitedMs = Math.round(performance.now() - this.#since)
    const fields = { ...this.#fields, user: this.#user, outcome, waited_ms: waitedMs }
    this.#runtime.log('login.held', fields)
  }
}
