/** A compiled map, open for lookups. */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Position } from '../base/position.ts'
import type { Address, Naming } from '../mail/address.ts'
import type { Direction, Resolution } from '../mail/route.ts'
import { openDatabase } from './database/open-database.ts'
import type { SourceName, Trace } from './place.ts'
import { resolveRoute } from './resolve.ts'

export interface MapReader {
  readonly generation: number
  /** Users that the sources name; rules may route more. */
  readonly users?: number
  /**
   * Where mail or logins for an address go. Never throws: what cannot be looked up is
   * `{result: 'error'}`. An expansion's destinations are final and distinct.
   */
  resolve(direction: Direction, address: Address, naming: Naming): Resolution
  close(): void
}

/** A reader that can also say how it came to an answer. */
export interface TracingReader extends MapReader {
  resolveTraced(direction: Direction, address: Address, naming: Naming, trace: Trace): Resolution
  /** Where a key stands in a source. Throws MAP_DATABASE_DAMAGED. */
  place(key: string, source: SourceName): Position | undefined
}

/**
 * Reads the database and checks it whole, except for records, which are checked as they are read.
 * Throws MAP_DATABASE_MISSING, or MAP_DATABASE_DAMAGED with what is wrong.
 */
export function openMap(path: string): TracingReader {
  const opened = openDatabase(path)
  const { database } = opened
  const resolve = (
    direction: Direction,
    address: Address,
    naming: Naming,
    trace: Trace | undefined,
  ): Resolution => {
    try {
      return resolveRoute(direction, address, { naming, lookup: database, trace })
    } catch (error) {
      // A record that cannot be read, or is damaged: the sender or client is told to try again.
      const reason = error instanceof MailmuxError ? error.located : messageOf(error)
      return { result: 'error', user: address.key, reason }
    }
  }
  return {
    generation: database.header.generation,
    users: database.header.users,
    resolve: (direction, address, naming) => resolve(direction, address, naming, undefined),
    resolveTraced: resolve,
    place: (key, source) => database.place(key, source),
    close: () => opened.close(),
  }
}
