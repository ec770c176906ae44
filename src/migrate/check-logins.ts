/**
 * Whether a mailbox's scripts and UIDLs can be got at, before anything is done: a login that is refused
 * for ManageSieve or POP3 would be found after all messages were copied, or while the user is frozen.
 */
import type { MailboxProtocol } from '../backend/mailbox-access.ts'
import { openMailboxStream } from '../backend/open-mailbox-stream.ts'
import { MailmuxError } from '../base/error.ts'
import type { Ignorable } from '../map/state/move-journal.ts'
import type { CopyEnds } from './copy-session.ts'
import { hasPop3 } from './read-uidls.ts'

export const ignorable = ['sieve', 'uidl'] as const satisfies readonly Ignorable[]

/** Throws what a login that fails throws, with what to do about it where it is refused. */
export async function checkLogins(
  ends: CopyEnds,
  ignores: readonly Ignorable[],
  signal: AbortSignal,
): Promise<void> {
  const wanted: Readonly<Record<Ignorable, MailboxProtocol | undefined>> = {
    sieve: ends.source.endpoints.sieve === undefined ? undefined : 'sieve',
    uidl: hasPop3(ends) ? 'pop3' : undefined,
  }
  for (const what of ignorable) {
    const protocol = wanted[what]
    if (protocol === undefined || ignores.includes(what)) continue
    for (const access of [ends.source, ends.target]) {
      if (access.endpoints[protocol] === undefined) continue
      try {
        const stream = await openMailboxStream(access, protocol, signal, { isSpare: true })
        stream.destroy()
      } catch (error) {
        if (!(error instanceof MailmuxError)) throw error
        // Who is told that it is too much now was let in but for that.
        if (error.code === 'BACKEND_THROTTLED') continue
        throw new MailmuxError(error.code, withWayOut(error, what), { cause: error })
      }
    }
  }
}

function withWayOut({ code, message }: MailmuxError, what: Ignorable): string {
  return code === 'BACKEND_LOGIN_REFUSED' ? `${message}; ${wayOutOf(what)}` : message
}

/** For a person whom it keeps from going on. */
export function wayOutOf(what: Ignorable): string {
  const left = { sieve: 'scripts', uidl: 'what POP3 clients know messages by' }[what]
  return `--ignore ${what} leaves ${left} behind`
}
