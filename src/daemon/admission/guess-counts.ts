/**
 * How many guesses at logins a worker has seen in the last minute, and from which networks: for an
 * alarm about those that come from so many addresses that none of them is much slower for it.
 *
 * So many networks are told apart in a minute, and no more; of others only the number is known.
 */
import { networkOf } from '../../mail/client-key.ts'
import { stampsAt } from './place.ts'

const minuteMs = 60_000
const mostNetworks = 4096
/** As many as a report names. */
const named = 16

/** Of one worker, or of all. */
export interface GuessReport {
  readonly guesses: number
  /** Those that most came from. */
  readonly networks: readonly (readonly [network: string, guesses: number])[]
}

interface Minute {
  readonly stamp: number
  guesses: number
  readonly networks: Map<string, number>
}

function newMinute(stamp: number): Minute {
  return { stamp, guesses: 0, networks: new Map() }
}

export class GuessCounts {
  #current = newMinute(0)
  #before = newMinute(0)

  /** `address`: the client's own, '' where nobody knows. `now`: of the epoch, in milliseconds. */
  add(address: string, now: number): void {
    this.#turn(now)
    const { networks } = this.#current
    const network = networkOf(address)
    const known = networks.get(network)
    this.#current.guesses++
    if (known !== undefined || networks.size < mostNetworks) networks.set(network, (known ?? 0) + 1)
  }

  /** What came in the minute before `now`. */
  report(now: number): GuessReport {
    this.#turn(now)
    const { share } = stampsAt(now, minuteMs)
    const sums = new Map(this.#current.networks)
    for (const [network, count] of this.#before.networks) {
      sums.set(network, (sums.get(network) ?? 0) + count * share)
    }
    const guesses = Math.round(this.#current.guesses + this.#before.guesses * share)
    return { guesses, networks: worstOf(sums, named) }
  }

  #turn(now: number): void {
    const { stamp, before } = stampsAt(now, minuteMs)
    if (this.#current.stamp === stamp) return
    this.#before = this.#current.stamp === before ? this.#current : newMinute(before)
    this.#current = newMinute(stamp)
  }
}

function worstOf(sums: ReadonlyMap<string, number>, count: number): GuessReport['networks'] {
  return [...sums]
    .map(([network, guesses]) => [network, Math.round(guesses)] as const)
    .filter(([, guesses]) => guesses > 0)
    .toSorted(([, left], [, right]) => right - left)
    .slice(0, count)
}

/** Of several workers. */
export function sumGuesses(reports: readonly GuessReport[], count: number): GuessReport {
  const sums = new Map<string, number>()
  for (const { networks } of reports) {
    for (const [network, guesses] of networks) {
      sums.set(network, (sums.get(network) ?? 0) + guesses)
    }
  }
  const guesses = reports.reduce((sum, one) => sum + one.guesses, 0)
  return { guesses, networks: worstOf(sums, count) }
}
