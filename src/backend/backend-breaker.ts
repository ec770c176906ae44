/**
 * Spares a back-end that is down the attempts, and its senders the wait: after five failures in a row
 * that more than one client has met, it is not tried for a while; then one attempt is let through, and
 * its outcome decides. One client alone, whatever it does, cannot keep a back-end from others.
 */
const failuresToOpen = 5
const coolDownMs = 30_000
/** An attempt whose outcome was never told is given up for lost. */
const probeMs = 60_000

export class BackendBreaker {
  #failures = 0
  /** Who met the first of the failures. */
  #client: string | undefined
  #hasOthers = false
  /** Monotonic milliseconds before which nothing is tried. */
  #closedUntil = 0
  #isTrying = false

  /** Whether to try now; `nowMs` is monotonic. */
  allows(nowMs: number): boolean {
    if (this.#isClosed) return true
    if (nowMs < this.#closedUntil) return false
    this.#closedUntil = nowMs + probeMs
    this.#isTrying = true
    return true
  }

  /** `half-open`: the next attempt, or the one that was let through, decides. */
  state(nowMs: number): 'closed' | 'half-open' | 'open' {
    if (this.#isClosed) return 'closed'
    return this.#isTrying || nowMs >= this.#closedUntil ? 'half-open' : 'open'
  }

  /** `client` is the address of the client that the attempt was for. */
  failed(nowMs: number, client: string): void {
    this.#failures++
    this.#client ??= client
    this.#hasOthers ||= client !== this.#client
    this.#closedUntil = nowMs + coolDownMs
    this.#isTrying = false
  }

  succeeded(): void {
    this.#failures = 0
    this.#client = undefined
    this.#hasOthers = false
    this.#isTrying = false
  }

  get #isClosed(): boolean {
    return this.#failures < failuresToOpen || !this.#hasOthers
  }
}
