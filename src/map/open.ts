/** A compiled map, open for lookups. */
import type { Address, Naming } from '../mail/address.ts'
import type { Direction, Resolution } from '../mail/route.ts'

export interface MapReader {
  readonly generation: number
  /**
   * Where mail or logins for an address go. Never throws: what cannot be looked up is
   * `{result: 'error'}`. An expansion's destinations are final and distinct.
   */
  resolve(direction: Direction, address: Address, naming: Naming): Resolution
  close(): void
}
