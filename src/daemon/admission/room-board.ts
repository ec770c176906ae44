/** How many workers take clients, as all of them see it. A worker that dies is counted no more. */
import type { CountBoard } from './count-board.ts'

/** No address has this name. */
const key = 'takes clients'

export class RoomBoard {
  #board: CountBoard | undefined
  #isCounted = false

  /** Before that, and where there is no room on the board, a worker knows of no other. */
  use(board: CountBoard): void {
    this.#board = board
  }

  /** This worker takes clients. */
  claim(): void {
    if (this.#isCounted || this.#board === undefined) return
    this.#isCounted = this.#board.add(key, 1).isKept
  }

  /** It does not any more. */
  release(): void {
    if (this.#isCounted) this.#board?.add(key, -1)
    this.#isCounted = false
  }

  /** Whether another worker does; false where this one cannot tell the others of itself. */
  get hasOthers(): boolean {
    const sum = this.#board?.sums(key, 0, 0).sum ?? 0
    return sum > (this.#isCounted ? 1 : 0)
  }
}
