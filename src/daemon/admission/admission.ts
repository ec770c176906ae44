/**
 * How much one address may have of this host: sessions at once, and connections, messages and
 * recipients in a time. Asked at accept, so it costs two calls of the kernel at most for each limit
 * that is set, and none for exempt networks.
 */
import type { RefusalReason } from '../../base/log.ts'
import type { AddressLimits, Config, Service } from '../../config/config.ts'
import { NetworkList } from '../../mail/network.ts'
import type { Boards } from './boards.ts'
import { isOver, keyOf, type Place, placesOf } from './place.ts'

export type Admitted =
  | { readonly ok: true; readonly leave: (() => void) | undefined }
  | { readonly ok: false; readonly reason: Extract<RefusalReason, 'ip_limit' | 'conn_rate'> }

const free: Admitted = { ok: true, leave: undefined }

export class Admission {
  readonly #boards: Boards
  #limits: AddressLimits | undefined
  #exempt = new NetworkList([])

  constructor(boards: Boards) {
    this.#boards = boards
  }

  /** Takes other limits; sessions that were let in stay counted. */
  use({ limits: { perAddress }, trustedProxies }: Pick<Config, 'limits' | 'trustedProxies'>): void {
    this.#limits = perAddress
    this.#exempt = exemptOf(perAddress, trustedProxies)
  }

  /** Lets a session in or not. `address`: the client's own, '' where nobody knows. Its end calls `leave`. */
  enter(service: Service, address: string, now: number): Admitted {
    const key = keyOf(address, this.#exempt)
    if (key === undefined || this.#limits === undefined) return free
    const { connections, sessions } = this.#limits
    const places = placesOf(key, `${service} `)
    if (isOver(this.#boards.connections, places, connections, now)) {
      return { ok: false, reason: 'conn_rate' }
    }
    const limit = sessions[service]
    return limit === 0 ? free : this.#enterSession(places, limit)
  }

  /** Whether one message more is too many. `now` is of the epoch, in milliseconds. */
  isMessageOver(address: string, now: number): boolean {
    return this.#isOver('messages', address, now)
  }

  /** Whether one recipient more is too many. */
  isRecipientOver(address: string, now: number): boolean {
    return this.#isOver('recipients', address, now)
  }

  #isOver(what: 'messages' | 'recipients', address: string, now: number): boolean {
    const limit = this.#limits?.[what]
    if (limit === undefined) return false
    const key = keyOf(address, this.#exempt)
    return key !== undefined && isOver(this.#boards[what], placesOf(key), limit, now)
  }

  /** Two workers within the same few microseconds may let in one too many. */
  #enterSession(places: readonly Place[], limit: number): Admitted {
    const { sessions } = this.#boards
    const counted = places.map((place) => ({ ...place, ...sessions.add(place.key, 1) }))
    const leave = (): void => {
      for (const { key, isKept } of counted) if (isKept) sessions.add(key, -1)
    }
    if (counted.every(({ sum, times }) => sum <= limit * times)) return { ok: true, leave }
    leave()
    return { ok: false, reason: 'ip_limit' }
  }
}

/** Who speaks for others is not to be counted for all of them. */
export function exemptOf(limits: AddressLimits, trustedProxies: readonly string[]): NetworkList {
  return new NetworkList([...limits.exempt, ...trustedProxies])
}
