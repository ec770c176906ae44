/** What to do with a message that something went wrong with here, and not at a back-end. */
import { messageOf } from '../../base/error.ts'
import type { QuarantineReason } from '../../base/log.ts'
import { UnusableFile } from '../../spool/message-file.ts'
import { codeOf, isPassing, spoolFault } from '../../spool/spool-fault.ts'

export type QueueFault =
  /** Somebody has taken it away. */
  | { readonly kind: 'gone' }
  /** There is no room: it passes. */
  | { readonly kind: 'later' }
  | { readonly kind: 'aside'; readonly reason: QuarantineReason; readonly detail: string }

/** Throws what is no fault of the file or the disk, but of ours. */
export function faultOf(id: string, error: unknown): QueueFault {
  if (codeOf(error) === 'ENOENT') return { kind: 'gone' }
  if (error instanceof UnusableFile) {
    return { kind: 'aside', reason: error.reason, detail: error.message }
  }
  if (isPassing(error) || spoolFault(error, id).code === 'SPOOL_FULL') return { kind: 'later' }
  if (codeOf(error) === '') throw error
  // What was written may be lost although the next sync says otherwise: it is not relied on.
  return { kind: 'aside', reason: 'unsynced', detail: messageOf(error) }
}
