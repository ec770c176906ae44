/** The connections of one mailbox's copy. */
import { AppendPool } from './append-pool.ts'
import { takeSeats, trySeats } from './copy-seats.ts'
import { type CopyEnds, CopySession } from './copy-session.ts'

export class CopyConnections implements AsyncDisposable {
  /** Those that add messages, for all sessions. */
  readonly appends: AppendPool
  readonly sessions: [CopySession, ...CopySession[]]
  readonly #ends: CopyEnds
  readonly #signal: AbortSignal
  readonly #opened: AsyncDisposableStack

  private constructor(
    ends: CopyEnds,
    appends: AppendPool,
    { session, opened }: { session: CopySession; opened: AsyncDisposableStack },
    signal: AbortSignal,
  ) {
    this.appends = appends
    this.sessions = [session]
    this.#ends = ends
    this.#signal = signal
    this.#opened = opened
  }

  /** Waits for room at both ends; `appends`: how many may add. Throws as `CopySession.open` does. */
  static async open(
    ends: CopyEnds,
    appends: number,
    signal: AbortSignal,
  ): Promise<CopyConnections> {
    await using opened = new AsyncDisposableStack()
    opened.use(await takeSeats(ends, signal))
    const session = opened.use(await CopySession.open(ends, signal))
    const pool = opened.use(new AppendPool(ends.target, { most: appends, signal }))
    return new CopyConnections(ends, pool, { session, opened: opened.move() }, signal)
  }

  /** So many sessions, or as many as there is room for; one at least. Throws as `open`. */
  async lanes(count: number): Promise<readonly CopySession[]> {
    while (this.sessions.length < count) {
      const seats = trySeats(this.#ends)
      if (seats === undefined) break
      this.#opened.use(seats)
      this.sessions.push(this.#opened.use(await CopySession.open(this.#ends, this.#signal)))
    }
    return this.sessions.slice(0, Math.max(1, count))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened[Symbol.asyncDispose]()
  }
}
