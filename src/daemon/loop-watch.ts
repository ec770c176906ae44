/**
 * Notices when the event loop of this process stood still, and for how long: whatever runs too long
 * holds up every session of the worker.
 */
import type { Counters } from './runtime.ts'

const lookMs = 250
/** A timer may be late by a little on a busy host. */
const stallMs = 100

export function watchLoop(counters: Counters): void {
  let due = performance.now() + lookMs
  setInterval(() => {
    const lateMs = performance.now() - due
    if (lateMs > stallMs) {
      counters.count('loop_stall')
      counters.count('loop_stall_ms', '', Math.round(lateMs))
    }
    due = performance.now() + lookMs
  }, lookMs).unref()
}
