/** The clock of this host. */
import type { Clock } from '../base/clock.ts'

/** What is longer, some 24 days, a timer of Node takes for nothing. */
const longestMs = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(waitMs, call) {
    const timer = setTimeout(call, Math.min(waitMs, longestMs))
    return () => clearTimeout(timer)
  },
}
