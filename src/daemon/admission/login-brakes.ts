/**
 * What the workers of a host know of failed logins, and how many of an address are under way. Failures
 * are counted by address, of IPv6 by site too, and by the name that was typed, whether anybody has it
 * or not. A success takes back what made its address and its name wait; the rate of an address
 * (`auth_failures_per_ip`) it does not. Who is exempt is counted by name alone.
 *
 * A name with the same wrong secret again, as a device with an old password has it, counts once in an
 * hour: nothing is learned by it. Of secrets nothing but bits of a keyed hash are remembered.
 */
import { createHmac } from 'node:crypto'
import { limits } from '../../base/limit.ts'
import type { Config, RateLimit } from '../../config/config.ts'
import type { Naming } from '../../mail/address.ts'
import { parseLogin } from '../../mail/login-name.ts'
import { NetworkList } from '../../mail/network.ts'
import { exemptOf } from './admission.ts'
import type { Boards } from './boards.ts'
import { GuessCounts } from './guess-counts.ts'
import { isReached, keyOf, isOver, type Place, placesOf, stampsAt } from './place.ts'

/** Failures slow down what follows for as long, and up to twice as long. */
const memoryMs = 120_000
const pairMemoryMs = 3_600_000

export interface TriedLogin {
  /** The client's own, '' where nobody knows. */
  readonly address: string
  /** As typed; undefined where it was unusable. */
  readonly login: string | undefined
  /** What was to prove it; undefined where it cannot be told from another. */
  readonly secret: string | undefined
}

export class LoginBrakes {
  /** What this worker alone has seen. */
  readonly guesses = new GuessCounts()
  readonly #boards: Boards
  readonly #secret: Uint8Array
  #naming: Naming | undefined
  #rate: RateLimit | undefined
  #exempt = new NetworkList([])

  constructor(boards: Boards, secret: Uint8Array) {
    this.#boards = boards
    this.#secret = secret
  }

  /** Takes other limits; what was counted stays. */
  use({
    limits: { perAddress },
    trustedProxies,
    naming,
  }: Pick<Config, 'limits' | 'trustedProxies' | 'naming'>): void {
    this.#rate = perAddress.authFailures
    this.#exempt = exemptOf(perAddress, trustedProxies)
    this.#naming = naming
  }

  /** Whether so many logins of the address have failed that no more are tried. */
  isBarred(address: string, now: number): boolean {
    if (this.#rate === undefined) return false
    return isReached(this.#boards.failures, this.#placesOf(address), this.#rate, now)
  }

  /** Counts a failed login. Returns how many failures before it count. */
  failed(tried: TriedLogin, now: number): number {
    const places = this.#placesOf(tried.address)
    const isRepeated = this.#isRepeated(tried, now)
    const by = isRepeated ? 0 : 1
    const counts = [...places, ...this.#userPlaces(tried)].map((place) =>
      this.#countAt(place, by, now),
    )
    if (!isRepeated) {
      isOver(this.#boards.failures, places, this.#rate, now)
      this.guesses.add(tried.address, now)
    }
    // One that is repeated is among them already.
    return Math.max(0, Math.max(0, ...counts) - 1)
  }

  succeeded(tried: TriedLogin, now: number): void {
    const { stamp, before } = stampsAt(now, memoryMs)
    const { brakes } = this.#boards
    const [own, site] = this.#placesOf(tried.address)
    for (const places of [[own, site], this.#userPlaces(tried)]) {
      const [{ key } = { key: '' }] = places
      const known = key === '' ? undefined : brakes.sums(key, stamp, before)
      if (known === undefined || known.sum + known.keptSum === 0) continue
      const forgiven = brakes.sums(forgivenOf(key), stamp, before)
      for (const place of places) {
        if (place === undefined) continue
        brakes.add(forgivenOf(place.key), known.sum - forgiven.sum, stamp, before)
        brakes.add(forgivenOf(place.key), known.keptSum - forgiven.keptSum, before, stamp)
      }
    }
  }

  /** Takes one of the address's places for logins under way; undefined where none is free. */
  enter(address: string): (() => void) | undefined {
    const places = this.#placesOf(address).map(({ key, times }) => ({ key: `login ${key}`, times }))
    const { sessions } = this.#boards
    const counted = places.map((place) => ({ ...place, ...sessions.add(place.key, 1) }))
    const leave = (): void => {
      for (const { key, isKept } of counted) if (isKept) sessions.add(key, -1)
    }
    if (counted.every(({ sum, times }) => sum <= limits.loginsPerAddress * times)) return leave
    leave()
    return undefined
  }

  #placesOf(address: string): Place[] {
    const key = keyOf(address, this.#exempt)
    return key === undefined ? [] : placesOf(key)
  }

  #userPlaces({ login }: TriedLogin): Place[] {
    return login === undefined ? [] : [{ key: `user ${this.#nameOf(login)}`, times: 1 }]
  }

  /** What may mean the same user counts as one. */
  #nameOf(login: string): string {
    const address = this.#naming === undefined ? undefined : parseLogin(login, this.#naming)
    return address?.key ?? login.slice(0, limits.loginNameBytes).toLowerCase()
  }

  #countAt({ key, times }: Place, by: number, now: number): number {
    const { stamp, before } = stampsAt(now, memoryMs)
    const { brakes } = this.#boards
    const failures = by === 0 ? brakes.sums(key, stamp, before) : brakes.add(key, by, stamp, before)
    const forgiven = brakes.sums(forgivenOf(key), stamp, before)
    const left = failures.sum + failures.keptSum - forgiven.sum - forgiven.keptSum
    return Math.ceil(Math.max(0, left) / times)
  }

  #isRepeated({ address, login, secret }: TriedLogin, now: number): boolean {
    if (login === undefined || secret === undefined) return false
    const { stamp, before } = stampsAt(now, pairMemoryMs)
    const pair = `${address}\n${this.#nameOf(login)}\n${secret}`
    const key = createHmac('sha256', this.#secret).update(pair).digest('base64')
    const { sum, keptSum } = this.#boards.wrongPairs.add(key, 1, stamp, before)
    return sum + keptSum > 1
  }
}

/** Counts can only be added to by the worker that sees a success: others' columns are theirs. */
function forgivenOf(key: string): string {
  return `forgiven ${key}`
}
