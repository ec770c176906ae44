/**
 * How much one address may have of this host: sessions at once, and connections, messages and
 * recipients in a time. Asked at accept, so it costs two calls of the kernel at most for each limit
 * that is set, and none for exempt networks.
 */
import type { RefusalReason } from '../../base/log.ts'
import type { AddressLimits, Config, RateLimit, Service } from '../../config/config.ts'
import { type ClientKey, clientKey } from '../../mail/client-key.ts'
import { canonicalHost, NetworkList } from '../../mail/network.ts'
import type { Boards } from './boards.ts'
import type { CountBoard } from './count-board.ts'

/** A site may have so many times what an address may. */
const perSite = 4

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
    // Who speaks for others is not to be counted for all of them.
    this.#exempt = new NetworkList([...perAddress.exempt, ...trustedProxies])
  }

  /** Lets a session in or not. `address`: the client's own, '' where nobody knows. Its end calls `leave`. */
  enter(service: Service, address: string, now: number): Admitted {
    const key = this.#keyOf(address)
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
    const key = this.#keyOf(address)
    return key !== undefined && isOver(this.#boards[what], placesOf(key), limit, now)
  }

  #keyOf(address: string): ClientKey | undefined {
    const canonical = canonicalHost(address.replace(/%.*$/, ''))
    if (canonical === undefined || this.#exempt.has(canonical)) return undefined
    return clientKey(canonical)
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

/** Where a client is counted, and how many times the limit there may be. */
interface Place {
  readonly key: string
  readonly times: number
}

function placesOf({ own, site }: ClientKey, prefix = ''): Place[] {
  const places = [{ key: prefix + own, times: 1 }]
  if (site !== undefined) places.push({ key: prefix + site, times: perSite })
  return places
}

/**
 * Counts one more, also where it is too many. The last period counts by the share of it that a sliding
 * one of the same length would still see.
 */
function isOver(
  board: CountBoard,
  places: readonly Place[],
  limit: RateLimit | undefined,
  now: number,
): boolean {
  if (limit === undefined) return false
  const period = Math.floor(now / limit.periodMs)
  const [stamp, before] = [period & 0xffff, (period - 1) & 0xffff]
  const passed = (now % limit.periodMs) / limit.periodMs
  const sums = places.map(({ key, times }) => {
    const { sum, keptSum } = board.add(key, 1, stamp, before)
    return (sum + keptSum * (1 - passed)) / times
  })
  return sums.some((sum) => sum > limit.count)
}
