/**
 * Connections to back-ends: those that wait for their next message, how many there may be, and which
 * back-ends are not worth trying just now. Each place has its own, so that none feels the trouble of
 * another. One a worker.
 */
import { deadlines } from '../net/deadline.ts'
import type { BackendBreaker } from './backend-breaker.ts'
import type { Capabilities } from '../protocol/smtp/capabilities.ts'
import { BackendPlace, type RoomWaiter } from './backend-place.ts'
import { LateVerdicts } from './late-verdicts.ts'
import { clientKeyOf } from './passed-client.ts'
import { SmtpConnection, type SmtpPlan } from './smtp-connection.ts'
import type { SmtpUser } from './smtp-user.ts'

/** Shorter than what servers allow a silent client (Postfix: 300 s, Dovecot: 300 s). */
const defaultIdleMs = 60_000
const idlePerBackend = 32

type BreakerState = ReturnType<BackendBreaker['state']>

export interface LeaseOptions {
  /** Who has one already must not wait for the next: what it waits for may be its own. */
  readonly isFurther?: boolean
  /** Until when a new one must be ready, monotonic; all of `readyTimeoutMs` is left where absent. */
  readonly readyBy?: number
}

export class SmtpPool {
  readonly #places = new Map<string, BackendPlace>()
  readonly #placeOf = new WeakMap<SmtpPlan, BackendPlace>()
  /** The newest plan for each back-end and protocol: a reload may have moved it. */
  readonly #newest = new Map<string, SmtpPlan>()
  readonly #idleMs: number
  readonly #late = new LateVerdicts()
  /** Told what a back-end offers, at each new connection to it. */
  learn: (plan: SmtpPlan, offered: Capabilities) => void = () => undefined

  /** `idleMs`: how long a connection is kept unused. */
  constructor(idleMs: number = defaultIdleMs) {
    this.#idleMs = idleMs
  }

  /** A connection that waits, or a new one; or why there is none now. */
  lease(
    plan: SmtpPlan,
    user: SmtpUser,
    { isFurther = false, readyBy }: LeaseOptions = {},
  ): SmtpConnection | 'full' | 'spared' {
    const place = this.#placeFor(plan)
    if (place.leased >= plan.connectionLimit && !isFurther) return 'full'
    if (!place.breaker.allows(performance.now())) return 'spared'
    const clientKey = clientKeyOf(plan)
    // One that was made for a client serves no other.
    for (const found of place.idle.toReversed()) {
      if (clientKeyOf(found.plan) !== clientKey) continue
      place.idle.splice(place.idle.indexOf(found), 1)
      deadlines.disarm(found)
      // After a reload the same place may have to prove itself by other certificates.
      if (found.plan.trust?.context === plan.trust?.context) {
        return lent(reuse(found, plan, user), place)
      }
      found.onUseless = undefined
      found.quit()
    }
    return this.#open(plan, user, readyBy)
  }

  /** A new one in place of one that failed without an answer, whatever else there is. */
  leaseFresh(plan: SmtpPlan, user: SmtpUser): SmtpConnection {
    return this.#open(plan, user)
  }

  /** Waits until `lease` finds room, for a bounded time. Returns how to wait no longer. */
  awaitRoom(plan: SmtpPlan, waiter: RoomWaiter): () => void {
    return this.#placeFor(plan).wait(waiter, plan.readyTimeoutMs)
  }

  /** Takes back a connection from its user; one that is in the middle of something is destroyed. */
  release(connection: SmtpConnection): void {
    connection.user = undefined
    connection.flush()
    if (!connection.isIdle) {
      connection.destroy()
      return
    }
    const place = this.#placeFor(connection.plan)
    // The oldest may belong to a client that has gone.
    if (place.idle.length >= idlePerBackend) place.idle[0]?.quit()
    connection.onUseless = () => {
      const index = place.idle.indexOf(connection)
      if (index !== -1) place.idle.splice(index, 1)
    }
    place.idle.push(connection)
    deadlines.arm(connection, this.#idleMs)
    place.returned()
  }

  /** A back-end did its part. */
  succeeded(plan: SmtpPlan): void {
    this.#placeFor(plan).breaker.succeeded()
  }

  /** A back-end did not do its part for a client of that address. */
  failed(plan: SmtpPlan, client: string): void {
    this.#placeFor(plan).breaker.failed(performance.now(), client)
  }

  /** Whether the places that were tried so far are tried now. */
  get breakers(): { backend: string; protocol: SmtpPlan['protocol']; state: BreakerState }[] {
    const nowMs = performance.now()
    return [...this.#newest.values()].map((plan) => ({
      backend: plan.backend,
      protocol: plan.protocol,
      state: this.#placeFor(plan).breaker.state(nowMs),
    }))
  }

  /** Ends all that wait. */
  close(): void {
    this.#late.close()
    for (const { idle } of this.#places.values()) {
      for (const connection of idle.splice(0)) connection.quit()
    }
  }

  #open(plan: SmtpPlan, user: SmtpUser, readyBy?: number): SmtpConnection {
    const leftMs = readyBy === undefined ? plan.readyTimeoutMs : readyBy - performance.now()
    const connection = new SmtpConnection(plan, user, Math.max(1, leftMs))
    connection.onReady = (offered) => this.learn(plan, offered)
    connection.onOverdue = (overdue) => this.#late.listen(overdue)
    return lent(connection, this.#placeFor(plan))
  }

  #placeFor(plan: SmtpPlan): BackendPlace {
    const known = this.#placeOf.get(plan)
    if (known !== undefined) return known
    const key = placeOf(plan)
    const place = this.#places.get(key) ?? new BackendPlace()
    this.#places.set(key, place)
    this.#placeOf.set(plan, place)
    this.#newest.set(`${plan.backend} ${plan.protocol}`, plan)
    return place
  }
}

function lent(connection: SmtpConnection, place: BackendPlace): SmtpConnection {
  place.leased++
  connection.onUseless = () => place.returned()
  return connection
}

function reuse(connection: SmtpConnection, plan: SmtpPlan, user: SmtpUser): SmtpConnection {
  connection.user = user
  connection.plan = plan
  connection.isReused = true
  connection.hasAnswered = false
  return connection
}

/** What connections must share to be of one back-end. */
export function placeOf({ protocol, endpoint, trust, hostname }: SmtpPlan): string {
  return [protocol, endpoint.host, endpoint.port, endpoint.tls, trust?.name, hostname].join(' ')
}
