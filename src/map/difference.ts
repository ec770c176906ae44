/**
 * What differs between two maps: who is sent elsewhere, from where to where; who is new or gone;
 * aliases, rules and what else decides. Places in the sources do not count.
 *
 * Records of both are walked side by side and compared as bytes, since most are the same and in the
 * same order; only what differs is looked up in the other map. Where there is no common order (an
 * export that comes in any), each map is read by itself.
 */
import type { Naming } from '../mail/address.ts'
import { changedKeys } from './changed-keys.ts'
import type { Database } from './database/database.ts'
import type { RecordCursor } from './database/record-cursor.ts'
import { compareEntries, type KeyChange, type RouteChange } from './entry-difference.ts'
import type { Lookup, Scope } from './place.ts'
import { compareSettings, type SettingChange } from './setting-difference.ts'

/** A map to compare: a base, and what was changed since. */
export interface ComparedMap {
  readonly generation: number
  readonly database: Database
  /** Base and overrides. */
  readonly lookup: Lookup
  /** Keys that overrides decide. */
  readonly overridden: Iterable<string>
}

/** More lines than these that stand elsewhere: there is no common order. */
const movedLimit = 256

export type Change = KeyChange | SettingChange

/** How many users go the same way, for one direction or both. */
export interface ChangeGroup {
  readonly direction: 'delivery' | 'retrieval' | 'both'
  readonly from: string
  readonly to: string
  readonly count: number
}

export interface DifferenceSummary {
  /** Users that the sources of the older map named. */
  readonly users: number
  readonly rerouted: number
  readonly added: number
  readonly removed: number
  /** Aliases that are added, removed or have other targets. */
  readonly aliases: number
  /** Rules, patterns, domains and back-ends. */
  readonly settings: number
  /** Of those who are sent elsewhere, most first. */
  readonly groups: readonly ChangeGroup[]
}

/** Compares two maps; what was found is complete once all changes have been taken. */
export class Difference {
  readonly #older: ComparedMap
  readonly #newer: ComparedMap
  readonly #olderScope: Scope
  readonly #newerScope: Scope
  /** Keys whose changes have been told. */
  readonly #done = new Set<string>()
  readonly #groups = new Map<string, { -readonly [Key in keyof ChangeGroup]: ChangeGroup[Key] }>()
  readonly #values = new Map<number, Map<number, boolean>>()
  readonly #counts = { rerouted: 0, added: 0, removed: 0, aliases: 0, settings: 0 }
  #users = 0

  constructor(older: ComparedMap, newer: ComparedMap, naming: Naming) {
    this.#older = older
    this.#newer = newer
    this.#olderScope = scopeOf(older, naming)
    this.#newerScope = scopeOf(newer, naming)
  }

  /** Every change, that of settings first, then in the order of the sources. */
  *changes(): Generator<Change, void, undefined> {
    const settings = compareSettings(this.#older.database, this.#newer.database)
    this.#counts.settings = settings.length
    yield* settings
    for (const key of [...this.#older.overridden, ...this.#newer.overridden]) {
      yield* this.#compare(key)
    }
    yield* this.#walk(new Set(settings.map(({ kind }) => kind)))
  }

  get summary(): DifferenceSummary {
    const groups = [...this.#groups.values()].toSorted((one, other) => other.count - one.count)
    return { users: this.#users, ...this.#counts, groups }
  }

  *#walk(changed: ReadonlySet<SettingChange['kind']>): Generator<Change, void, undefined> {
    const older = this.#older.database.cursor()
    const newer = this.#newer.database.cursor()
    let moved = 0
    older.next()
    newer.next()
    while (older.isThere || newer.isThere) {
      if (older.isThere && newer.isThere && older.hasKeyOf(newer)) {
        if (!this.#isSame(older, newer) || isTouched(older, changed)) {
          yield* this.#compare(older.key)
        }
        this.#count(older)
        newer.next()
      } else if (
        !newer.isThere ||
        (older.isThere && this.#newer.database.slotOf(older.key) === -1)
      ) {
        yield* this.#compare(older.key)
        this.#count(older)
      } else if (!older.isThere || this.#older.database.slotOf(newer.key) === -1) {
        yield* this.#compare(newer.key)
        newer.next()
      } else if (++moved > movedLimit) break
      else yield* this.#skipMoved(older, newer)
    }
    if (moved > movedLimit) yield* this.#walkUnordered(changed)
  }

  /** As if from the beginning; what has been told is not told again. */
  *#walkUnordered(changed: ReadonlySet<SettingChange['kind']>): Generator<Change, void, undefined> {
    const [older, newer] = [this.#older.database, this.#newer.database]
    for (const key of changedKeys(older, newer)) yield* this.#compare(key)
    this.#users = 0
    for (const cursor = older.cursor(); cursor.next(); ) {
      if (cursor.kind === 'user_map') this.#users++
      if (isTouched(cursor, changed)) yield* this.#compare(cursor.key)
    }
  }

  /** Lines have changed places: after one that was moved, both go on side by side. */
  *#skipMoved(older: RecordCursor, newer: RecordCursor): Generator<Change, void, undefined> {
    const { key } = older
    yield* this.#compare(key)
    this.#count(older)
    if (older.isThere && older.hasKeyOf(newer)) return
    yield* this.#compare(newer.key)
    newer.next()
    if (newer.isThere && newer.key === key) newer.next()
  }

  /** Counts a record of the older map, and goes to the next. */
  #count(older: RecordCursor): void {
    if (older.kind === 'user_map') this.#users++
    older.next()
  }

  #isSame(older: RecordCursor, newer: RecordCursor): boolean {
    const isSameValue = this.#isSameValue(older.valueNumber, newer.valueNumber)
    return isSameValue && older.hasTextOf(newer)
  }

  /** Numbers of values are each database's own. */
  #isSameValue(older: number, newer: number): boolean {
    const known = this.#values.get(older)?.get(newer)
    if (known !== undefined) return known
    const one = JSON.stringify(this.#older.database.meta.values[older - 1])
    const other = JSON.stringify(this.#newer.database.meta.values[newer - 1])
    const ofOlder = this.#values.get(older) ?? new Map<number, boolean>()
    this.#values.set(older, ofOlder.set(newer, one === other))
    return one === other
  }

  *#compare(key: string): Generator<Change, void, undefined> {
    if (this.#done.has(key)) return
    for (const change of compareEntries(key, this.#olderScope, this.#newerScope)) {
      this.#done.add(key)
      if (change.kind === 'alias') this.#counts.aliases++
      else {
        this.#counts[change.change]++
        if (change.change === 'rerouted') this.#group(change)
      }
      yield change
    }
  }

  #group({ delivery, retrieval }: RouteChange): void {
    const isBoth =
      delivery?.fromBackend === retrieval?.fromBackend &&
      delivery?.toBackend === retrieval?.toBackend
    const parts = isBoth
      ? [['both', delivery] as const]
      : ([
          ['delivery', delivery],
          ['retrieval', retrieval],
        ] as const)
    for (const [direction, part] of parts) {
      if (part === undefined) continue
      const { fromBackend: from, toBackend: to } = part
      const name = `${direction} ${from} ${to}`
      const group = this.#groups.get(name) ?? { direction, from, to, count: 0 }
      group.count++
      this.#groups.set(name, group)
    }
  }
}

/** True where something else than its own line may decide about a record, and has changed. */
function isTouched({ kind }: RecordCursor, changed: ReadonlySet<SettingChange['kind']>): boolean {
  if (changed.size === 0 || kind === 'aliases') return false
  const isByRules = kind === 'popmap' && changed.has('rule')
  const others = ['pattern', 'query_key', 'domain'] as const
  return isByRules || others.some((setting) => changed.has(setting))
}

/** Each map has the domains that it was built with. */
function scopeOf({ database, lookup }: ComparedMap, naming: Naming): Scope {
  const domains = new Set(database.meta.domains)
  return { naming: { ...naming, domains }, lookup, trace: undefined }
}
