/** How many deliveries there are to each back-end, and the bound that none goes beyond. */

/** As many as a back-end gets from one queue at once. */
export const perBackend = 20

export class QueueSlots {
  readonly #taken = new Map<string, number>()

  take(backend: string): boolean {
    const taken = this.#taken.get(backend) ?? 0
    if (taken >= perBackend) return false
    this.#taken.set(backend, taken + 1)
    return true
  }

  free(backend: string): void {
    const left = (this.#taken.get(backend) ?? 1) - 1
    if (left === 0) this.#taken.delete(backend)
    else this.#taken.set(backend, left)
  }
}
