/**
 * The barrier that a move needs: the daemon of this host lets nothing change a user's mailbox.
 *
 * A move asks with its own epoch, asks again before `expires_ms` is over, and thaws with the same
 * epoch. Only a report that is `complete` counts; where `frozen_ms` has become less than the time since
 * the first one there was a gap (the daemon was started anew), and what was done meanwhile is to be
 * done again. It must not put another home in force when `expires_ms` is over.
 */
import { MailmuxError } from '../base/error.ts'
import { askDaemon } from './client.ts'
import type { FreezeReport, FreezeRequest, ThawReport, ThawRequest } from './session-messages.ts'

/** A message whose end was sent is waited for, for a minute. */
const freezeMs = 75_000
const thawMs = 15_000

/** Undefined where no daemon runs: there is nobody to ask. Throws what askDaemon throws. */
export function freezeUser(
  runDir: string,
  details: FreezeRequest,
  signal?: AbortSignal,
): Promise<FreezeReport | undefined> {
  return unlessNobody(askDaemon(runDir, 'freeze', freezeMs, { details, signal }))
}

/** Undefined where no daemon runs: nobody is frozen. Throws what askDaemon throws. */
export function thawUser(
  runDir: string,
  details: ThawRequest,
  signal?: AbortSignal,
): Promise<ThawReport | undefined> {
  return unlessNobody(askDaemon(runDir, 'thaw', thawMs, { details, signal }))
}

/** One that is there and does not answer is not nobody. */
async function unlessNobody<T>(asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking
  } catch (error) {
    const cause = error instanceof MailmuxError ? error.cause : undefined
    const { code } = (cause ?? {}) as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return undefined
    throw error
  }
}
