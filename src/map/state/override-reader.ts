/**
 * Overrides as lookups see them: in memory, and looked at anew no more than once in a turn of the
 * event loop, where the state database tells that something was written. Whatever happens to the
 * file, what was read of it stays in force: the problem is reported once, until reading works again.
 *
 * Another file of the same name does not take back what was read either, since the sources hold it:
 * its changes are taken as later ones. Numbers of generations tell which are, if it is an older copy
 * of the same file; a file that was made anew knows nothing of those before.
 */
import { MailmuxError } from '../../base/error.ts'
import type { Position } from '../../base/position.ts'
import { markOf } from '../../storage/random-access.ts'
import { isBare, isWide } from '../key.ts'
import type { SourceName } from '../place.ts'
import { KeyFilter } from './key-filter.ts'
import { type ReadOverride, type ReadShift, StateFile } from './state-file.ts'
import { unusable } from './state.ts'
import type { UidlOwner } from './uidl-store.ts'
import type { UidlTable } from './uidl-table.ts'

/** The newest override of a key. */
export type KnownOverride = Omit<ReadOverride, 'key'>

/** What a reader knows, to be handed to another one. */
export interface KnownChanges {
  /** Of the file that they were read from. */
  readonly id: string | undefined
  readonly overrides: readonly ReadOverride[]
}

export interface OverrideReaderOptions {
  readonly path: string
  /** Generation of the base: overrides up to it are in the base. */
  readonly base: number
  /** Changes of later generations are left out; all are taken where it is absent. */
  readonly upTo?: number
  /** In force also where the file cannot tell them any more. */
  readonly known?: KnownChanges
  readonly report?: (problem: MailmuxError) => void
  /** How old may be what it tells, in milliseconds; 0, or absent: it looks on every turn. */
  readonly mayLagMs?: number
}

/** How often `lookAnew` was called. */
let demands = 0

/** Whatever any reader of this process is asked next, it tells as it is then. */
export function lookAnew(): void {
  demands++
}

/** How often it is looked whether another file has the name; monotonic milliseconds. */
const nameLookMs = 1_000
/** How long another process is waited for that opens or closes the file; the first time, and later. */
const firstWaitMs = 1_000
const laterWaitMs = 20

export class OverrideReader {
  /** The newest generation: of the base, or of the last change. */
  generation: number
  readonly byKey = new Map<string, KnownOverride>()
  readonly filter = new KeyFilter(this.byKey)
  hasBareKeys = false
  hasWideKeys = false
  hasAliases = false
  hasForwards = false
  readonly #options: OverrideReaderOptions
  #file: StateFile | undefined
  /** Of the file that was read last. */
  #id: string | undefined
  #mark: string | undefined
  #followedAt = Number.NEGATIVE_INFINITY
  #demand = 0
  #lookedAt = Number.NEGATIVE_INFINITY
  #emptySince: number | undefined
  #waitMs = firstWaitMs
  #shifts: readonly ReadShift[] = []
  #version: unknown
  /** Overrides up to this generation have been read from the open file. */
  #readUpTo: number
  #isFresh = false
  #isFailing = false
  #reported = ''
  readonly #expire = (): void => {
    this.#isFresh = false
  }

  constructor(options: OverrideReaderOptions) {
    const { base, known } = options
    this.#options = options
    this.generation = base
    this.#readUpTo = base
    this.#id = known?.id
    for (const override of known?.overrides ?? []) {
      if (override.generation > base) this.#put(override)
    }
  }

  /**
   * Makes sure that what is known is new enough: of this turn of the event loop, unless it may lag
   * behind. Within a turn it does not change.
   */
  refresh(): void {
    const isDemanded = this.#demand !== demands
    if (this.#isFresh && !isDemanded) return
    this.#isFresh = true
    setImmediate(this.#expire).unref()
    const now = performance.now()
    if (!isDemanded && now - this.#followedAt < (this.#options.mayLagMs ?? 0)) return
    this.#followedAt = now
    this.#demand = demands
    try {
      this.#follow(now)
    } catch (error) {
      this.close()
      this.#isFailing = true
      this.#report(unusable(this.#options.path, error))
    }
    this.#waitMs = laterWaitMs
  }

  /** True where what is known is what the file says. */
  get isReading(): boolean {
    this.refresh()
    return this.#file !== undefined
  }

  get known(): KnownChanges {
    this.refresh()
    const overrides = [...this.byKey].map(([key, override]) => ({ ...override, key }))
    return { id: this.#id, overrides }
  }

  close(): void {
    this.#file?.close()
    this.#file = undefined
  }

  /** Where a line of a source stands now that stood at `at` in a generation. */
  moved(at: Position, generation: number): Position {
    let { line } = at
    for (const shift of this.#shifts) {
      const isLater = shift.generation > generation && shift.file === at.file
      if (isLater && line >= shift.line) line += shift.delta
    }
    return line === at.line ? at : { ...at, line }
  }

  /** Where the line of an overridden key stands; undefined where that is not known. */
  place(key: string, source: SourceName): Position | undefined {
    const known = this.byKey.get(key)
    const at = known && this.#file?.places(key, known.generation)[source]
    return known && at && this.moved(at, known.generation)
  }

  /**
   * What POP3 clients of a user know messages by at a back-end; undefined: by their UIDLs there, or the
   * file cannot be read now. Throws STATE_DAMAGED and STATE_UNUSABLE.
   */
  uidls(owner: UidlOwner): UidlTable | undefined {
    this.refresh()
    try {
      return this.#file?.uidls(owner, this.#version)
    } catch (error) {
      throw unusable(this.#options.path, error)
    }
  }

  #report(problem: MailmuxError): void {
    if (problem.message === this.#reported) return
    this.#reported = problem.message
    this.#options.report?.(problem)
  }

  #follow(now: number): void {
    // A file that is not there yet is looked for on every turn; one that is bad, now and then.
    const isSought = this.#file === undefined && !this.#isFailing
    if (isSought || now - this.#lookedAt >= nameLookMs) {
      this.#lookedAt = now
      this.#openNamed(now)
    }
    const file = this.#file
    const version = file?.readVersion()
    if (file === undefined || version === this.#version) return
    this.#readNew(file)
    this.#version = version
    if (this.#isFailing) this.#reported = ''
    this.#isFailing = false
  }

  /** Opens the file that has the name now, unless it is open; none is nothing to read. */
  #openNamed(now: number): void {
    const { path } = this.#options
    const mark = markOf(path)
    if (mark === undefined) {
      if (this.#id === undefined) return
      throw new MailmuxError('STATE_LOST', `${path}: is gone; changes read before stay in force`)
    }
    if (mark === this.#mark && this.#file?.isLive === true) return
    this.close()
    const file = StateFile.open(path, this.#waitMs)
    if (file === undefined) return this.#waitForTables(now)
    this.#emptySince = undefined
    this.#file = file
    this.#mark = mark
    this.#version = undefined
    this.#readUpTo = this.#options.base
    this.#adopt(file)
  }

  /** A command that makes the file has not yet written into it; or it was emptied. */
  #waitForTables(now: number): void {
    this.#emptySince ??= now
    // Where there was one before, that one is lost in either case.
    if (this.#id === undefined && now - this.#emptySince < nameLookMs) return
    throw new MailmuxError('STATE_LOST', `${this.#options.path}: is empty`)
  }

  /** What is known of another file, or of a later state of this one, gives way to newer changes. */
  #adopt(file: StateFile): void {
    const { path, base } = this.#options
    const isSame = this.#id === undefined || this.#id === file.id
    const newest = isSame ? Math.max(file.newest, base) : base
    for (const [key, known] of this.byKey) {
      if (known.generation > newest) this.byKey.set(key, { ...known, generation: newest })
    }
    this.#id = file.id
    if (isSame || this.byKey.size === 0) return
    const what = 'was made anew; changes read before stay in force'
    this.#report(new MailmuxError('STATE_LOST', `${path}: ${what}`))
  }

  /** All that is new, or nothing where a part of it is damaged. */
  #readNew(file: StateFile): void {
    const { base, upTo = Number.MAX_SAFE_INTEGER } = this.#options
    const overrides = file.overrides(this.#readUpTo, upTo)
    this.#shifts = file.shifts(base)
    for (const override of overrides) this.#put(override)
    this.#readUpTo = overrides.at(-1)?.generation ?? this.#readUpTo
  }

  #put({ key, entry, generation }: ReadOverride): void {
    const known = this.byKey.get(key)
    if (known !== undefined && known.generation >= generation) return
    if (known === undefined) this.filter.add(key)
    this.byKey.set(key, { entry, generation })
    if (isBare(key)) this.hasBareKeys = true
    if (isWide(key)) this.hasWideKeys = true
    if (entry?.targets !== undefined) this.hasAliases = true
    if (entry?.delivery?.kind === 'forward') this.hasForwards = true
    this.generation = Math.max(this.generation, generation)
  }
}
