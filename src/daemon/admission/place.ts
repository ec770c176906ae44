/** Where a client is counted: by its address, and of IPv6 by its site, too. */
import type { RateLimit } from '../../config/config.ts'
import { type ClientKey, clientKey } from '../../mail/client-key.ts'
import { canonicalHost, type NetworkList, withoutZone } from '../../mail/network.ts'
import type { CountBoard } from './count-board.ts'

/** A site may have so many times what an address may. */
const perSite = 4

export interface Place {
  readonly key: string
  /** How many times the limit there may be. */
  readonly times: number
}

/** Undefined where a client is not counted: nobody knows its address, or it is exempt. */
export function keyOf(address: string, exempt: NetworkList): ClientKey | undefined {
  const canonical = canonicalHost(withoutZone(address))
  if (canonical === undefined || exempt.has(canonical)) return undefined
  return clientKey(canonical)
}

export function placesOf({ own, site }: ClientKey, prefix = ''): Place[] {
  const places = [{ key: prefix + own, times: 1 }]
  if (site !== undefined) places.push({ key: prefix + site, times: perSite })
  return places
}

/** Two periods of a count, as boards keep them. */
export interface Stamps {
  readonly stamp: number
  readonly before: number
  /** The share of the last period that a sliding one of the same length would still see. */
  readonly share: number
}

export function stampsAt(now: number, periodMs: number): Stamps {
  const period = Math.floor(now / periodMs)
  const share = 1 - (now % periodMs) / periodMs
  return { stamp: period & 0xffff, before: (period - 1) & 0xffff, share }
}

/** Whether a rate is exceeded anywhere, with what is added now: it counts also where it is too much. */
export function isOver(
  board: CountBoard,
  places: readonly Place[],
  limit: RateLimit | undefined,
  now: number,
): boolean {
  if (limit === undefined) return false
  const { stamp, before, share } = stampsAt(now, limit.periodMs)
  const sums = places.map(({ key, times }) => {
    const { sum, keptSum } = board.add(key, 1, stamp, before)
    return (sum + keptSum * share) / times
  })
  return sums.some((sum) => sum > limit.count)
}

/** Whether a rate has been reached anywhere; nothing is added. */
export function isReached(
  board: CountBoard,
  places: readonly Place[],
  limit: RateLimit,
  now: number,
): boolean {
  const { stamp, before, share } = stampsAt(now, limit.periodMs)
  return places.some(({ key, times }) => {
    const { sum, keptSum } = board.sums(key, stamp, before)
    return sum + keptSum * share >= limit.count * times
  })
}
