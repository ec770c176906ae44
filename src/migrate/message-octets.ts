/** A large message of the selected folder as a stream. */
import type { ImapMailbox } from './imap-mailbox.ts'

/** Octets that one command asks for. */
const windowBytes = 1024 * 1024

/** Octets of one message, piece by piece; the next is asked for while one is made use of. */
export async function* octetsOf(
  mailbox: ImapMailbox,
  uid: number,
): AsyncGenerator<Buffer, void, undefined> {
  let next = mailbox.part(uid, 0, windowBytes)
  for (let at = windowBytes; ; at += windowBytes) {
    const body = await next
    const isLast = body.length < windowBytes
    if (!isLast) {
      next = mailbox.part(uid, at, windowBytes)
      // Nobody may come for it.
      next.catch(() => undefined)
    }
    if (body.length > 0) yield body
    if (isLast) return
  }
}
