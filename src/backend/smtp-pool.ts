/**
 * Connections to back-ends that wait for their next message, and which back-ends are not worth
 * trying just now. One a worker.
 */
import { BackendBreaker } from './backend-breaker.ts'
import { SmtpConnection, type SmtpPlan, type SmtpUser } from './smtp-connection.ts'
import { deadlines } from '../net/deadline.ts'

/** Shorter than what servers allow a silent client (Postfix: 300 s, Dovecot: 300 s). */
const defaultIdleMs = 60_000
const idlePerBackend = 32

export class SmtpPool {
  readonly #idle = new Map<string, SmtpConnection[]>()
  readonly #idleMs: number
  readonly #breakers = new Map<string, BackendBreaker>()

  /** `idleMs`: how long a connection is kept unused. */
  constructor(idleMs: number = defaultIdleMs) {
    this.#idleMs = idleMs
  }

  /** A connection that waits, or a new one; undefined where the back-end is not to be tried now. */
  lease(plan: SmtpPlan, user: SmtpUser): SmtpConnection | undefined {
    const waiting = this.#idle.get(keyOf(plan)) ?? []
    for (let found = waiting.pop(); found !== undefined; found = waiting.pop()) {
      found.onUseless = undefined
      deadlines.disarm(found)
      // After a reload the same place may have to prove itself by other certificates.
      if (found.plan.trust?.context === plan.trust?.context) return reuse(found, user)
      found.quit()
    }
    return this.leaseFresh(plan, user)
  }

  leaseFresh(plan: SmtpPlan, user: SmtpUser): SmtpConnection | undefined {
    return this.#breakerOf(plan).allows(performance.now())
      ? new SmtpConnection(plan, user)
      : undefined
  }

  /** Takes back a connection from its user; one that is in the middle of something is destroyed. */
  release(connection: SmtpConnection): void {
    connection.user = undefined
    connection.flush()
    if (!connection.isIdle) {
      connection.destroy()
      return
    }
    const key = keyOf(connection.plan)
    const waiting = this.#idle.get(key) ?? []
    this.#idle.set(key, waiting)
    if (waiting.length >= idlePerBackend) {
      connection.quit()
      return
    }
    waiting.push(connection)
    connection.onUseless = () => {
      const index = waiting.indexOf(connection)
      if (index !== -1) waiting.splice(index, 1)
      if (waiting.length === 0 && this.#idle.get(key) === waiting) this.#idle.delete(key)
    }
    deadlines.arm(connection, this.#idleMs)
  }

  /** How a new connection turned out, as far as the end of the greetings. */
  report(plan: SmtpPlan, isReady: boolean): void {
    if (isReady) this.#breakerOf(plan).succeeded()
    else this.#breakerOf(plan).failed(performance.now())
  }

  /** Ends all that wait. */
  close(): void {
    for (const connection of [...this.#idle.values()].flat()) connection.quit()
    this.#idle.clear()
  }

  #breakerOf(plan: SmtpPlan): BackendBreaker {
    const key = keyOf(plan)
    const breaker = this.#breakers.get(key) ?? new BackendBreaker()
    this.#breakers.set(key, breaker)
    return breaker
  }
}

function reuse(connection: SmtpConnection, user: SmtpUser): SmtpConnection {
  connection.user = user
  connection.isReused = true
  connection.hasAnswered = false
  return connection
}

function keyOf({ protocol, endpoint, trust, hostname }: SmtpPlan): string {
  return [protocol, endpoint.host, endpoint.port, endpoint.tls, trust?.name, hostname].join(' ')
}
