/**
 * Changes of the map since its build, as the supervisor keeps them for workers that start later. Like
 * the base, which is held open, they must not depend on what has become of their file since: a worker
 * that takes another's place answers what the other one did.
 */
import { type KnownChanges, OverrideReader } from '../map/state/override-reader.ts'
import { statePath } from '../map/state/state.ts'

/** A change that is made so shortly before its file is lost may be missed by workers to come. */
const lookMs = 1_000

export class KeptChanges implements Disposable {
  readonly #reader: OverrideReader
  readonly #timer: NodeJS.Timeout

  /**
   * `base`: generation of the map that they change. `before`: what was kept with the map before; it
   * counts only where the file cannot tell, since a build may have taken it over.
   */
  constructor(stateDir: string, base: number, before?: KnownChanges) {
    const path = statePath(stateDir)
    let reader = new OverrideReader({ path, base })
    if (before !== undefined && !reader.isReading) {
      reader.close()
      reader = new OverrideReader({ path, base, known: before })
    }
    this.#reader = reader
    this.#timer = setInterval(() => reader.refresh(), lookMs).unref()
  }

  /** Of the last change, or of the base. */
  get generation(): number {
    this.#reader.refresh()
    return this.#reader.generation
  }

  get known(): KnownChanges {
    return this.#reader.known
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    this.#reader.close()
  }
}
