/** A clock that a test moves: monotonic time and the clock on the wall, together or the wall alone. */
import { setImmediate as turn } from 'node:timers/promises'
import type { Clock } from '../../src/base/clock.ts'

interface Waiting {
  readonly dueMs: number
  readonly call: () => void
}

export class SimulatedClock implements Clock {
  #nowMs = 1000
  #wallMs: number
  readonly #waiting = new Set<Waiting>()

  constructor(wallMs = Date.UTC(2026, 0, 5, 9)) {
    this.#wallMs = wallMs
  }

  now(): number {
    return this.#nowMs
  }

  wall(): number {
    return this.#wallMs
  }

  after(waitMs: number, call: () => void): () => void {
    const waiting = { dueMs: this.#nowMs + Math.ceil(Math.max(0, waitMs)), call }
    this.#waiting.add(waiting)
    return () => this.#waiting.delete(waiting)
  }

  /** When the next of those that wait is due; Infinity where none waits. */
  get nextDueMs(): number {
    return Math.min(...[...this.#waiting].map(({ dueMs }) => dueMs))
  }

  /** Lets time pass, and calls who is due in order. */
  advance(ms: number): void {
    const end = this.#nowMs + ms
    while (this.nextDueMs <= end) {
      const due = [...this.#waiting].find(({ dueMs }) => dueMs === this.nextDueMs)
      if (due === undefined) break
      this.#waiting.delete(due)
      this.#move(Math.max(this.#nowMs, due.dueMs))
      due.call()
    }
    this.#move(end)
  }

  /** The host's clock is set. */
  stepWall(ms: number): void {
    this.#wallMs += ms
  }

  #move(toMs: number): void {
    this.#wallMs += toMs - this.#nowMs
    this.#nowMs = toMs
  }
}

/** Lets time pass whenever somebody waits for it, until `work` is done. */
export async function passTime<Result>(
  clock: SimulatedClock,
  work: Promise<Result>,
): Promise<Result> {
  const state = { isOver: false }
  const end = (): void => void (state.isOver = true)
  work.then(end, end)
  while (!state.isOver) {
    await turn()
    if (Number.isFinite(clock.nextDueMs)) clock.advance(clock.nextDueMs - clock.now())
  }
  return await work
}
