/** Whether an IMAP server refuses a command for there having been too much of late, and nothing else. */
import { isThrottling } from '../protocol/imap/throttling.ts'

/** To other commands, LIMIT says that there is too much of something, such as keywords. */
const mayPass = /^(?:UID )?(?:FETCH|SEARCH|SELECT|EXAMINE|LIST|LSUB|STATUS|NOOP|APPEND)\b/

export interface RefusedCommand {
  readonly command: string
  /** In capitals; '' where there is none. */
  readonly code: string
  readonly text: string
}

export function isThrottled({ command, code, text }: RefusedCommand): boolean {
  return isThrottling(code, text) || (code === 'LIMIT' && mayPass.test(command))
}
