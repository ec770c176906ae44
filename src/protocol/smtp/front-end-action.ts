/** What the machine towards a client is told at its start, and what it asks of its driver. */
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { Sender } from './capabilities.ts'
import type { Path } from './grammar.ts'
import type { Slot } from './outbox.ts'

export interface FrontEndOptions {
  readonly hostname: string
  readonly limitBytes: number
  readonly bareNewline: 'reject' | 'normalize'
  /** STARTTLS is offered until TLS is up. */
  readonly startTls: boolean
  /** TLS is up from the start. */
  readonly secure: boolean
}

export type FrontEndAction =
  | { readonly do: 'send'; readonly text: string }
  /** Upgrade once all text was sent; then `tlsStarted`. */
  | { readonly do: 'start-tls' }
  /** A transaction begins; there is no back-end for it yet. */
  | { readonly do: 'begin'; readonly sender: Sender }
  /** Answered by `recipientAnswered` with the same slot. */
  | { readonly do: 'recipient'; readonly path: Path; readonly slot: Slot }
  /** Answered by `dataAnswered`, after all recipients. */
  | { readonly do: 'data' }
  /** Octets of the message, valid until the next chunk. */
  | { readonly do: 'pass'; readonly parts: readonly Buffer[] }
  /** The message is complete and good; answered by `messageAnswered`. */
  | { readonly do: 'end'; readonly bytes: number; readonly bareLf: number }
  /** The transaction is over without a message: the back-end must not see an end of data. */
  | { readonly do: 'abort' }
  | { readonly do: 'refuse'; readonly reason: RefusalReason }
  /** Close after what was sent. */
  | { readonly do: 'close'; readonly end: SessionEnd }
