/** What a worker has one of for each name, such as a back-end: made when it is first asked for. */
import type { Runtime } from './runtime.ts'

export class PerRuntime<Name, Kept> {
  /** Goes with the runtime. */
  readonly #kept = new WeakMap<Runtime, Map<Name, Kept>>()
  readonly #make: (runtime: Runtime, name: Name) => Kept

  constructor(make: (runtime: Runtime, name: Name) => Kept) {
    this.#make = make
  }

  of(runtime: Runtime, name: Name): Kept {
    const all = this.#kept.get(runtime) ?? new Map<Name, Kept>()
    this.#kept.set(runtime, all)
    const known = all.get(name)
    if (known !== undefined) return known
    const made = this.#make(runtime, name)
    all.set(name, made)
    return made
  }
}
