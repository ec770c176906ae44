/** What the spool holds, in numbers: for metrics and status. */
import type { SpoolStatus } from '../../control/messages.ts'
import type { QueueEntry } from './queue-entry.ts'

/** `now` is monotonic; `quarantined`: how many are kept aside. */
export function figuresOf(
  entries: Iterable<QueueEntry>,
  now: number,
  quarantined: number,
): SpoolStatus {
  let [live, deferred, bytes, oldest] = [0, 0, 0, 0]
  for (const { state, bytes: own, ageAtLoadMs, loadedAt } of entries) {
    if (state === 'waiting') deferred++
    else live++
    bytes += own
    oldest = Math.max(oldest, ageAtLoadMs + now - loadedAt)
  }
  return {
    messages: live + deferred,
    bytes,
    live,
    deferred,
    quarantined,
    oldest_ms: Math.round(oldest),
  }
}
