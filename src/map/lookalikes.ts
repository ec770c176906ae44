/**
 * Keys that people take for one another: different users to the map, equal once compatibility forms
 * and letter case are folded, or the same to the eye (a full-width, a Cyrillic, a hidden letter).
 */
import { formatPosition, type Position } from '../base/position.ts'
import { looksOf } from './confusables.ts'
import type { Database } from './database/database.ts'
import { nameOf } from './key.ts'
import type { Problems } from './problems.ts'

interface Noted {
  readonly key: string
  readonly at: Position
}

/** Most keys: nothing in them can fold. */
const isFolded = /^[^A-Z\u0080-\uffff]*$/

/** True where a key may be taken for another: there are few. */
export function hasOtherLook(key: string): boolean {
  return !isFolded.test(key) && looksOf(key) !== key
}

export class Lookalikes {
  /** The first key of each folded form that is not its own; there are few. */
  readonly #noted = new Map<string, Noted>()
  readonly #pairs: (readonly [again: Noted, before: Noted])[] = []

  note(key: string, at: Position): void {
    if (!hasOtherLook(key)) return
    const folded = looksOf(key)
    const before = this.#noted.get(folded)
    if (before === undefined) this.#noted.set(folded, { key, at })
    else if (before.key !== key) this.#pairs.push([{ key, at }, before])
  }

  /** To be called once all keys are in the database. */
  report(database: Database, problems: Problems): void {
    for (const [again, before] of this.#pairs) {
      warn(
        problems,
        again,
        `${nameOf(before.key)}, which is another user: ${formatPosition(before.at)}`,
      )
    }
    for (const [folded, noted] of this.#noted) {
      if (database.find(folded) === undefined) continue
      const place = (['user_map', 'popmap', 'aliases'] as const)
        .map((source) => database.place(folded, source))
        .find((found) => found !== undefined)
      const where = place === undefined ? '' : `: ${formatPosition(place)}`
      warn(problems, noted, `${nameOf(folded)}, which is another user${where}`)
    }
  }
}

function warn(problems: Problems, { key, at }: Noted, what: string): void {
  const hint = 'write it as the other, or give one of them another name'
  problems.warn('lookalike-key', at, `${nameOf(key)} looks like ${what}`, hint)
}
