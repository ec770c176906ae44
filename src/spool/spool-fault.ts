/** What the disk says → what the spool says of it. */
import { MailmuxError, messageOf } from '../base/error.ts'

/** No room, or no room for one more open file: it passes by itself when there is some again. */
const noRoom = new Set(['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EROFS'])

export function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? ''
}

/** SPOOL_FULL where it is a matter of room, else SPOOL_FAILED; what is one of these stays as it is. */
export function spoolFault(error: unknown, path: string): MailmuxError {
  if (error instanceof MailmuxError) return error
  const code = noRoom.has(codeOf(error)) ? 'SPOOL_FULL' : 'SPOOL_FAILED'
  return new MailmuxError(code, `${path}: ${messageOf(error)}`, { cause: error })
}

/** What says nothing of the file itself: it may be read another time. */
export function isPassing(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EINTR'].includes(codeOf(error))
}
