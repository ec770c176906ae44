/** What one run of a command may take of each server, over all of its mailboxes. */
import { Allowance } from '../backend/allowance.ts'
import { DayLimit } from '../backend/day-limit.ts'
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { systemClock } from '../backend/system-clock.ts'
import { waitFor } from '../backend/wait-for.ts'
import type { Clock } from '../base/clock.ts'
import { MailmuxError } from '../base/error.ts'
import { longestMs, type Opening, openingAt, type Window } from '../base/window.ts'
import type { Config } from '../config/config.ts'
import { DayLedger } from '../map/state/day-ledger.ts'
import { describeMoment } from './moment.ts'

/** How often it is looked whether a window has begun. */
const lookEveryMs = 60_000

type LimitsConfig = Pick<Config, 'backends' | 'migrate' | 'stateDir'>

export class RunLimits implements Disposable {
  readonly clock: Clock
  readonly #config: LimitsConfig
  readonly #windows: readonly Window[]
  readonly #allowances = new Map<string, Allowance>()
  #ledger: DayLedger | undefined

  /** `windows`: outside of them no piece of work begins, where there are any. */
  constructor(config: LimitsConfig, clock: Clock = systemClock, windows: readonly Window[] = []) {
    this.#config = config
    this.#windows = windows
    this.clock = clock
  }

  /**
   * The same door, whose mailboxes share what may be taken of its server. `name`: of a back-end, or
   * host and port of a server elsewhere. Throws STATE_DAMAGED and STATE_UNUSABLE.
   */
  async through(name: string, door: MailboxDoor): Promise<MailboxDoor> {
    const allowance = this.#allowances.get(name) ?? (await this.#allowanceOf(name))
    this.#allowances.set(name, allowance)
    return { accessTo: (login) => ({ ...door.accessTo(login), share: allowance.share() }) }
  }

  /** When the next window begins; undefined where it is open now. Milliseconds since 1970. */
  get opensAt(): number | undefined {
    const now = this.clock.wall()
    const { opensAt } = this.#opening(now)
    return opensAt > now ? opensAt : undefined
  }

  /** Throws the reason of `signal`. */
  async untilOpen(signal: AbortSignal): Promise<void> {
    for (let at = this.opensAt; at !== undefined; at = this.opensAt) {
      // The clock on the wall may be set meanwhile.
      const left = Math.max(1, at - this.clock.wall())
      await waitFor(this.clock, Math.min(lookEveryMs, left), signal)
    }
  }

  /** Throws the reason of `signal`. */
  async untilClosed(signal: AbortSignal): Promise<void> {
    while (this.opensAt === undefined) {
      const now = this.clock.wall()
      const left = Math.max(1, this.#opening(now).closesAt - now)
      await waitFor(this.clock, Math.min(lookEveryMs, left), signal)
    }
  }

  /** Throws WINDOW_CLOSED where what takes so long could not end within the window. */
  checkWindow(forMs = 0): void {
    const now = this.clock.wall()
    const { opensAt, closesAt } = this.#opening(now)
    if (opensAt > now || now + forMs >= closesAt) throw this.closed
  }

  /** Throws USAGE where no window is long enough for a freeze, so that nobody would ever move. */
  checkRoomForFreeze(freezeLimitMs: number): void {
    if (this.#windows.length === 0) return
    const longest = longestMs(this.#windows, this.clock.wall())
    if (longest >= freezeLimitMs) return
    const [room, needed] = [longest, freezeLimitMs].map((ms) => Math.round(ms / 1000))
    const what = `the longest window for copying has ${room} s, and a freeze may take ${needed} s`
    throw new MailmuxError('USAGE', `${what} (\`move.freeze_limit\`): nobody would ever move`)
  }

  get closed(): MailmuxError {
    const now = this.clock.wall()
    const { opensAt, closesAt } = this.#opening(now)
    // One that is about to close is no use any more.
    const next = opensAt > now ? opensAt : this.#opening(closesAt).opensAt
    const what = `it is outside of the windows for copying: the next begins ${describeMoment(next)}`
    return new MailmuxError('WINDOW_CLOSED', what)
  }

  #opening(nowMs: number): Opening {
    if (this.#windows.length > 0) return openingAt(this.#windows, nowMs)
    return { opensAt: Number.NEGATIVE_INFINITY, closesAt: Number.POSITIVE_INFINITY }
  }

  /** To be called at the end of the run: what was counted of the day is put right. Throws STATE_UNUSABLE. */
  [Symbol.dispose](): void {
    for (const { day } of this.#allowances.values()) day?.settle()
    this.#ledger?.[Symbol.dispose]()
    this.#ledger = undefined
    this.#allowances.clear()
  }

  async #allowanceOf(name: string): Promise<Allowance> {
    const { backends, migrate, stateDir } = this.#config
    const { clock } = this
    const { bytesPerDay, ...limits } = backends.get(name)?.migrate ?? migrate.outside
    const gate = (): void => this.checkWindow()
    if (bytesPerDay === undefined) return new Allowance({ ...limits, clock, gate })
    const counts = this.#ledger ?? (await DayLedger.open(stateDir))
    this.#ledger = counts
    const day = new DayLimit({ server: name, mostBytes: bytesPerDay, counts, clock })
    return new Allowance({ ...limits, clock, gate, day })
  }
}
