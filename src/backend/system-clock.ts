/** The clock of this host. */
import type { Clock } from '../base/clock.ts'

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(waitMs, call) {
    const timer = setTimeout(call, waitMs)
    return () => clearTimeout(timer)
  },
}
