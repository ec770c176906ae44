/** What one run of a command may take of each server, over all of its mailboxes. */
import { Allowance } from '../backend/allowance.ts'
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { systemClock } from '../backend/system-clock.ts'
import type { Clock } from '../base/clock.ts'
import type { Config } from '../config/config.ts'

type LimitsConfig = Pick<Config, 'backends' | 'migrate' | 'stateDir'>

export class RunLimits {
  readonly clock: Clock
  readonly #config: LimitsConfig
  readonly #allowances = new Map<string, Allowance>()

  constructor(config: LimitsConfig, clock: Clock = systemClock) {
    this.#config = config
    this.clock = clock
  }

  /** The same door, whose mailboxes share what may be taken of its server. */
  through(name: string, door: MailboxDoor): MailboxDoor {
    const allowance = this.#allowanceOf(name)
    return { accessTo: (login) => ({ ...door.accessTo(login), share: allowance.share() }) }
  }

  /** `name`: of a back-end, or host and port of a server elsewhere. */
  #allowanceOf(name: string): Allowance {
    const known = this.#allowances.get(name)
    if (known !== undefined) return known
    const { backends, migrate } = this.#config
    const limits = backends.get(name)?.migrate ?? migrate.outside
    const made = new Allowance({ ...limits, clock: this.clock })
    this.#allowances.set(name, made)
    return made
  }
}
