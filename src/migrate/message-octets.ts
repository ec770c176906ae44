/** A large message of the selected folder as a stream. */
import { octetsSpent } from './spent-octets.ts'
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
    octetsSpent(body.length)
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

/** Octets that are being read before anybody comes for them. */
export interface AheadOctets {
  readonly octets: AsyncIterable<Buffer>
  /** When no more is read, since all was or somebody has given up. */
  readonly wholeRead: Promise<void>
}

/** The same pieces, the first of which is asked for at once. */
export function readAhead(pieces: AsyncGenerator<Buffer, void, undefined>): AheadOctets {
  const first = pieces.next()
  // Nobody may come for it.
  first.catch(() => undefined)
  const { promise: wholeRead, resolve } = Promise.withResolvers<void>()
  return { octets: startingWith(first, pieces, resolve), wholeRead }
}

async function* startingWith(
  first: Promise<IteratorResult<Buffer, void>>,
  rest: AsyncGenerator<Buffer, void, undefined>,
  ended: () => void,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    const { done, value } = await first
    if (done !== true) yield value
    yield* rest
  } finally {
    ended()
  }
}
