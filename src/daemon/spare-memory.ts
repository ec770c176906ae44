/**
 * Gives memory back that a burst of sessions leaves behind. V8 collects its garbage when it must, not
 * when it could: a worker that has logged in thousands and has nothing to do keeps twice the heap that
 * its sessions need. Collecting stops it for tens of milliseconds, so that is done when little goes on,
 * where there is something to gain, and seldom. It takes V8 some ten seconds to
 * give the pages back.
 */
import { getHeapStatistics } from 'node:v8'

const lookMs = 10_000
/** The share of the time since the last look in which the event loop had work. */
const quietShare = 0.1
const gainBytes = 16 * 1024 * 1024
const restMs = 300_000

export interface Heap {
  /** Monotonic milliseconds. */
  now(): number
  /** What the heap takes from the system. */
  sizeBytes(): number
  /** The share of the time since it was last asked in which there was work; 0 to 1. */
  busyShare(): number
  collect(): void
}

export class SpareMemory {
  readonly #heap: Heap
  /** After the last collection; before the first one there is nothing to compare with. */
  #leastBytes: number
  #restsUntil = 0
  /** A collection has gained nothing: V8 may hand the memory out only at the next. */
  #isSecond = false

  constructor(heap: Heap) {
    this.#heap = heap
    this.#leastBytes = heap.sizeBytes()
  }

  /** Collects where it is time to. */
  look(): void {
    const isQuiet = this.#heap.busyShare() < quietShare
    const now = this.#heap.now()
    if (!isQuiet || now < this.#restsUntil) return
    const before = this.#heap.sizeBytes()
    if (before < this.#leastBytes + gainBytes) return
    this.#heap.collect()
    const after = this.#heap.sizeBytes()
    const isDone = this.#isSecond || before - after >= gainBytes
    this.#isSecond = !isDone
    if (!isDone) return
    this.#leastBytes = after
    this.#restsUntil = now + restMs
  }
}

/** Does so from now on, where this process was started with `--expose-gc`. */
export function giveBackMemory(): void {
  const { gc } = globalThis
  if (gc === undefined) return
  let before = performance.eventLoopUtilization()
  const memory = new SpareMemory({
    now: () => performance.now(),
    sizeBytes: () => getHeapStatistics().total_heap_size,
    busyShare() {
      const now = performance.eventLoopUtilization()
      const { utilization } = performance.eventLoopUtilization(now, before)
      before = now
      return utilization
    },
    collect: () => gc(),
  })
  setInterval(() => memory.look(), lookMs).unref()
}
