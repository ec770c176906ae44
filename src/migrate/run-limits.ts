/** What one run of a command may take of each server, over all of its mailboxes. */
import { Allowance } from '../backend/allowance.ts'
import { DayLimit } from '../backend/day-limit.ts'
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { systemClock } from '../backend/system-clock.ts'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'
import { DayLedger } from '../map/state/day-ledger.ts'

type LimitsConfig = Pick<Config, 'backends' | 'migrate' | 'stateDir'>

export class RunLimits implements Disposable {
  readonly clock: Clock
  readonly #config: LimitsConfig
  readonly #allowances = new Map<string, Allowance>()
  #ledger: DayLedger | undefined

  constructor(config: LimitsConfig, clock: Clock = systemClock) {
    this.#config = config
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
    if (bytesPerDay === undefined) return new Allowance({ ...limits, clock })
    const counts = this.#ledger ?? (await DayLedger.open(stateDir))
    this.#ledger = counts
    const day = new DayLimit({ server: name, mostBytes: bytesPerDay, counts, clock })
    return new Allowance({ ...limits, clock, day })
  }
}
