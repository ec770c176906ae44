/** Lets the first few of a kind through in each second, and counts the rest. */
export class BurstLimit {
  readonly #perSecond: number
  #second = Number.NaN
  readonly #passed = new Map<string, number>()
  readonly #held = new Map<string, number>()

  constructor(perSecond: number) {
    this.#perSecond = perSecond
  }

  /** True where this one may pass. `nowMs` is monotonic. */
  admit(kind: string, nowMs: number): boolean {
    const second = Math.floor(nowMs / 1000)
    if (second !== this.#second) {
      this.#second = second
      this.#passed.clear()
    }
    const passed = this.#passed.get(kind) ?? 0
    if (passed < this.#perSecond) {
      this.#passed.set(kind, passed + 1)
      return true
    }
    this.#held.set(kind, (this.#held.get(kind) ?? 0) + 1)
    return false
  }

  /** What did not pass since the last call, by kind. */
  takeHeld(): [kind: string, count: number][] {
    const held = [...this.#held]
    this.#held.clear()
    return held
  }
}
