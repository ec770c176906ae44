/**
 * The alarm about guesses at logins: raised when more come in a minute to this host than the config
 * says, over when there are less than half as many.
 */
import type { Log } from '../../base/log.ts'
import type { Config } from '../../config/config.ts'
import type { LoginAlarmStatus } from '../../control/messages.ts'
import { type GuessReport, sumGuesses } from '../admission/guess-counts.ts'

const minuteMs = 60_000
const namedNetworks = 5

export class LoginAlarm {
  readonly #log: Log
  #limit = Number.POSITIVE_INFINITY
  #raisedAt: number | undefined
  #guesses: GuessReport = { guesses: 0, networks: [] }

  constructor(log: Log) {
    this.#log = log
  }

  /** Takes another limit. */
  use({ limits: { guessAlarm } }: Pick<Config, 'limits'>): void {
    this.#limit = (guessAlarm.count * minuteMs) / guessAlarm.periodMs
  }

  /** What the workers have seen in the last minute. `now`: of the epoch, in milliseconds. */
  look(reports: readonly GuessReport[], now: number): void {
    this.#guesses = sumGuesses(reports, namedNetworks)
    const { guesses } = this.#guesses
    if (this.#raisedAt === undefined && guesses > this.#limit) {
      this.#raisedAt = now
      this.#tell('raised')
    } else if (this.#raisedAt !== undefined && guesses < this.#limit / 2) {
      this.#raisedAt = undefined
      this.#tell('over')
    }
  }

  /** Undefined while all is well. */
  get status(): LoginAlarmStatus | undefined {
    if (this.#raisedAt === undefined) return undefined
    const { guesses } = this.#guesses
    return { since: new Date(this.#raisedAt).toISOString(), guesses, networks: this.#networks }
  }

  get #networks(): string[] {
    return this.#guesses.networks.map(([network, guesses]) => `${network} ${guesses}`)
  }

  #tell(state: 'raised' | 'over'): void {
    const { guesses } = this.#guesses
    const limit = Math.round(this.#limit)
    this.#log('login.alarm', { state, guesses, limit, networks: this.#networks })
  }
}
