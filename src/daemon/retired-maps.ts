/**
 * Maps that are no longer in force. A decision that began under one may end under it, so it is closed
 * when the sessions of its time have ended, or when it has had its time: a session that is joined for
 * days needs no map any more. What is asked of a closed map is a temporary failure.
 */
interface Closable {
  close(): void
}

interface Retired {
  readonly map: Closable
  readonly sessions: Set<object>
  readonly timer: NodeJS.Timeout
}

/** Longer than a decision takes: the recipients of one message, one login. */
const graceMs = 600_000
/** Bounds descriptors and memory however often the settings change. */
const mostRetired = 4

export class RetiredMaps {
  readonly #retired = new Set<Retired>()

  /** `sessions`: those that may be using it. */
  retire(map: Closable, sessions: Iterable<object>): void {
    const timer = setTimeout(() => this.#close(retired), graceMs).unref()
    const retired: Retired = { map, sessions: new Set(sessions), timer }
    this.#retired.add(retired)
    if (retired.sessions.size === 0) this.#close(retired)
    const [oldest] = this.#retired
    if (this.#retired.size > mostRetired && oldest !== undefined) this.#close(oldest)
  }

  /** A session has ended. */
  leave(session: object): void {
    for (const retired of this.#retired) {
      if (retired.sessions.delete(session) && retired.sessions.size === 0) this.#close(retired)
    }
  }

  #close(retired: Retired): void {
    clearTimeout(retired.timer)
    this.#retired.delete(retired)
    retired.map.close()
  }
}
