/**
 * Spares a back-end that is down the attempts, and its senders the wait: after five failures in a row
 * it is not tried for a while; then one attempt is let through, and its outcome decides.
 */
const failuresToOpen = 5
const coolDownMs = 30_000
/** An attempt whose outcome was never told is given up for lost. */
const probeMs = 60_000

export class BackendBreaker {
  #failures = 0
  /** Monotonic milliseconds before which nothing is tried. */
  #closedUntil = 0

  /** Whether to try now; `nowMs` is monotonic. */
  allows(nowMs: number): boolean {
    if (this.#failures < failuresToOpen) return true
    if (nowMs < this.#closedUntil) return false
    this.#closedUntil = nowMs + probeMs
    return true
  }

  failed(nowMs: number): void {
    this.#failures++
    this.#closedUntil = nowMs + coolDownMs
  }

  succeeded(): void {
    this.#failures = 0
  }
}
