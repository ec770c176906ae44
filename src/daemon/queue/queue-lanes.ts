/**
 * Messages that are ready, in lanes: one for each back-end, so that a slow one holds up its own mail
 * only, and one for those that have ended the process before, which go one at a time.
 */
import { perBackend } from './queue-slots.ts'

export const suspectLane = '!suspect'

/** Many may wait in one: they are not moved up each time the first one goes. */
interface Lane {
  readonly ids: string[]
  next: number
}

export class QueueLanes {
  readonly #lanes = new Map<string, Lane>()
  readonly #active = new Map<string, number>()

  add(lane: string, id: string): void {
    const waiting = this.#lanes.get(lane) ?? { ids: [], next: 0 }
    this.#lanes.set(lane, waiting)
    waiting.ids.push(id)
  }

  /** The next that may start now, with its lane; `leave` is to be called at its end. */
  next(): { readonly id: string; readonly lane: string } | undefined {
    for (const [lane, waiting] of this.#lanes) {
      const active = this.#active.get(lane) ?? 0
      if (active >= (lane === suspectLane ? 1 : perBackend)) continue
      const id = waiting.ids[waiting.next]
      waiting.next++
      if (waiting.next >= waiting.ids.length) this.#lanes.delete(lane)
      if (id === undefined) continue
      this.#active.set(lane, active + 1)
      return { id, lane }
    }
    return undefined
  }

  leave(lane: string): void {
    const active = (this.#active.get(lane) ?? 1) - 1
    if (active === 0) this.#active.delete(lane)
    else this.#active.set(lane, active)
  }
}
