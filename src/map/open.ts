/** A compiled map, open for lookups. */
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Position } from '../base/position.ts'
import type { Config } from '../config/config.ts'
import type { Address, Naming } from '../mail/address.ts'
import type { Direction, Resolution } from '../mail/route.ts'
import { openDatabase } from './database/open-database.ts'
import { Overlay } from './overlay.ts'
import type { Lookup, SourceName, Trace } from './place.ts'
import { listExpansions, listRecords, type MapRecord } from './map-record.ts'
import { resolveFinal, resolveRoute } from './resolve.ts'
import { type KnownChanges, OverrideReader } from './state/override-reader.ts'
import { statePath } from './state/state.ts'
import type { UidlOwner } from './state/uidl-store.ts'
import type { UidlTable } from './state/uidl-table.ts'

export interface MapReader {
  /** Of the build, or of the last change since. */
  readonly generation: number
  /** The same as of the last look-up: nothing is looked at for it. */
  readonly lastGeneration: number
  /** Of the build. */
  readonly base: number
  /** Users that the sources name; rules may route more. */
  readonly users?: number
  /**
   * Where mail or logins for an address go. Never throws: what cannot be looked up is
   * `{result: 'error'}`. An expansion's destinations are final and distinct.
   */
  resolve(direction: Direction, address: Address, naming: Naming): Resolution
  /** As `resolve` for delivery, of an address that is the end of an expansion already. */
  resolveFinal(address: Address, naming: Naming): Resolution
  /**
   * What POP3 clients of a user know messages by who came to a back-end; undefined: by their UIDLs
   * there. Throws STATE_DAMAGED and STATE_UNUSABLE.
   */
  uidls(owner: UidlOwner): UidlTable | undefined
  close(): void
}

/** A reader that can also say how it came to an answer. */
export interface TracingReader extends MapReader {
  resolveTraced(direction: Direction, address: Address, naming: Naming, trace: Trace): Resolution
  /** What resolution asks. */
  readonly lookup: Lookup
  /** False where no alias and no forward leads anywhere. */
  readonly hasExpansions: boolean
  /** Everything that the map says of single keys: in the order of the sources, then changes. */
  records(): Generator<MapRecord, void, undefined>
  /** The aliases and forwards of them that may have one of the names in them; all without names. */
  expansions(names?: ReadonlySet<string>): Generator<MapRecord, void, undefined>
  /** The generation of the change that decides about a key; undefined where the build does. */
  changedIn(key: string): number | undefined
  /** Where a key stands in a source. Throws MAP_DATABASE_DAMAGED. */
  place(key: string, source: SourceName): Position | undefined
}

/** Where changes since the build are. */
export interface StateSource {
  /** The state database; it need not be there. */
  readonly path: string
  /** Told once when it cannot be read: what was read before stays in force. */
  readonly report?: (problem: MailmuxError) => void
  /** In force also where the state database cannot tell them any more. */
  readonly known?: KnownChanges
  /** How old changes may be before answers know them, in milliseconds; `lookAnew` makes them known at once. */
  readonly mayLagMs?: number
}

/** Few questions: the index stays on disk, so that opening takes no longer for a big map. */
export type Expectation = 'many questions' | 'few questions'

/**
 * Reads the database and checks it whole, except for records, which are checked as they are read.
 * With `state`, changes since the build are part of every answer, from the turn of the event loop
 * after the one in which they became durable, or `mayLagMs` later.
 * Throws MAP_DATABASE_MISSING, or MAP_DATABASE_DAMAGED with what is wrong.
 */
export function openMap(
  path: string,
  state?: StateSource,
  expected: Expectation = 'many questions',
): TracingReader {
  const opened = openDatabase(path, expected === 'few questions' ? 'on disk' : 'resident')
  const { database } = opened
  const base = database.header.generation
  const overrides = state && new OverrideReader({ ...state, base })
  const lookup = overrides === undefined ? database : new Overlay(database, overrides)
  overrides?.refresh()
  const answer = (address: Address, ask: () => Resolution): Resolution => {
    try {
      overrides?.refresh()
      return ask()
    } catch (error) {
      // A record that cannot be read, or is damaged: the sender or client is told to try again.
      const reason = error instanceof MailmuxError ? error.located : messageOf(error)
      return { result: 'error', user: address.key, reason }
    }
  }
  const resolve = (
    direction: Direction,
    address: Address,
    naming: Naming,
    trace: Trace | undefined,
  ): Resolution =>
    answer(address, () => resolveRoute(direction, address, { naming, lookup, trace }))
  return {
    base,
    get generation() {
      overrides?.refresh()
      return overrides?.generation ?? base
    },
    get lastGeneration() {
      return overrides?.generation ?? base
    },
    users: database.header.users,
    resolve: (direction, address, naming) => resolve(direction, address, naming, undefined),
    resolveTraced: resolve,
    resolveFinal: (address, naming) =>
      answer(address, () => resolveFinal(address, { naming, lookup, trace: undefined })),
    lookup,
    get hasExpansions() {
      return lookup.hasAliases || overrides?.hasForwards === true || database.hasForwards
    },
    uidls: (owner) => overrides?.uidls(owner),
    records: () => listRecords(database, overrides),
    expansions: (names) => listExpansions(database, overrides, names),
    place: (key, source) => lookup.place(key, source),
    changedIn: (key) => overrides?.byKey.get(key)?.generation,
    close() {
      overrides?.close()
      opened.close()
    },
  }
}

/** The map that a config names, with changes since its build. Throws as `openMap` does. */
export function openMapInForce(
  { map, stateDir }: Pick<Config, 'map' | 'stateDir'>,
  report?: (problem: MailmuxError) => void,
  expected?: Expectation,
): TracingReader {
  const path = statePath(stateDir)
  return openMap(map.database, report === undefined ? { path } : { path, report }, expected)
}
