/** Whether an IMAP server refuses a command for there having been too much of late, and nothing else. */
import { isThrottling } from '../protocol/imap/throttling.ts'

/** To other commands, LIMIT says that there is too much of something, such as keywords. */
const mayPass = /^(?:UID )?(?:FETCH|SEARCH|SELECT|EXAMINE|LIST|LSUB|STATUS|NOOP|APPEND)\b/

/** Of a message that is too large for ever. Dovecot: `[LIMIT] Mail size is larger than the maximum size`. */
const ofSize = /\bsize\b|\btoo (?:big|large)\b/i

export interface RefusedCommand {
  readonly command: string
  /** In capitals; '' where there is none. */
  readonly code: string
  readonly text: string
}

export function isThrottled({ command, code, text }: RefusedCommand): boolean {
  if (isThrottling(code, text)) return true
  return code === 'LIMIT' && mayPass.test(command) && !(command === 'APPEND' && ofSize.test(text))
}
