/** What we offer a client beyond what is always there: what every back-end can hold to. */
import type { Capabilities } from './capabilities.ts'

export interface Offers {
  /** The largest message. */
  readonly limitBytes: number
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
}

/** Offered while it is not known what the back-ends take. */
export function leastOffers(limitBytes: number): Offers {
  return { limitBytes, eightBitMime: false, smtpUtf8: false, dsn: false }
}

/** `limitBytes` is our own limit. Without any back-end the least is offered. */
export function commonOffers(limitBytes: number, backends: readonly Capabilities[]): Offers {
  if (backends.length === 0) return leastOffers(limitBytes)
  return {
    // A back-end may name no size (RFC 1870 section 4: 0, or none).
    limitBytes: Math.min(limitBytes, ...backends.map((one) => one.sizeBytes || limitBytes)),
    eightBitMime: backends.every((one) => one.eightBitMime),
    smtpUtf8: backends.every((one) => one.smtpUtf8),
    dsn: backends.every((one) => one.dsn),
  }
}
