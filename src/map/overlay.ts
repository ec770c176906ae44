/** A base and what was changed since it was built, as one map to look up in. */
import type { Position } from '../base/position.ts'
import type { QueryKey } from '../mail/query-key.ts'
import type { Database } from './database/database.ts'
import type { Entry, Lookup, SourceName } from './place.ts'
import type { Pattern, Rule } from './rule.ts'
import type { OverrideReader } from './state/override-reader.ts'

export class Overlay implements Lookup {
  readonly rules: readonly Rule[]
  readonly patterns: readonly Pattern[]
  readonly queryKeys: readonly QueryKey[]
  readonly smarthost: string | undefined
  readonly #base: Database
  readonly #overrides: OverrideReader

  constructor(base: Database, overrides: OverrideReader) {
    this.#base = base
    this.#overrides = overrides
    this.rules = base.rules
    this.patterns = base.patterns
    this.queryKeys = base.queryKeys
    this.smarthost = base.smarthost
  }

  get hasBareKeys(): boolean {
    return this.#base.hasBareKeys || this.#overrides.hasBareKeys
  }

  get hasWideKeys(): boolean {
    return this.#base.hasWideKeys || this.#overrides.hasWideKeys
  }

  get hasAliases(): boolean {
    return this.#base.hasAliases || this.#overrides.hasAliases
  }

  find(key: string): Entry | undefined {
    const { byKey, filter } = this.#overrides
    const override = filter.mayHave(key) ? byKey.get(key) : undefined
    return override === undefined ? this.#base.find(key) : override.entry
  }

  /** Where the line of a key stands now. Throws MAP_DATABASE_DAMAGED. */
  place(key: string, source: SourceName): Position | undefined {
    if (this.#overrides.byKey.has(key)) return this.#overrides.place(key, source)
    const at = this.#base.place(key, source)
    return at && this.#overrides.moved(at, this.#base.header.generation)
  }
}
