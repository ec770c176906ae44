/** What the machine towards a client is told at its start, and what it asks of its driver. */
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { Sender } from './capabilities.ts'
import type { ClientAttributes } from './client-attributes.ts'
import type { Dialect } from './grammar.ts'
import type { Slot } from './outbox.ts'
import type { RcptParameters } from './parameters.ts'
import type { Path } from './path.ts'

export interface FrontEndOptions extends Dialect {
  readonly hostname: string
  readonly bareNewline: 'reject' | 'normalize'
  /** STARTTLS is offered until TLS is up. */
  readonly startTls: boolean
  /** TLS is up from the start. */
  readonly secure: boolean
  /** It may say by XCLIENT and XFORWARD whom it speaks for. */
  readonly isTrusted: boolean
}

export type FrontEndAction =
  | { readonly do: 'send'; readonly text: string }
  /** Upgrade once all text was sent; then `tlsStarted`. */
  | { readonly do: 'start-tls' }
  /** Another client than the one that is connected: all that was told of it so far. */
  | { readonly do: 'client'; readonly client: ClientAttributes }
  /** A transaction begins; there is no back-end for it yet. `forwarded`: whose message it is. */
  | {
      readonly do: 'begin'
      readonly sender: Sender
      readonly forwarded: ClientAttributes | undefined
    }
  /** Answered by `recipientAnswered` with the same slot. */
  | {
      readonly do: 'recipient'
      readonly path: Path
      readonly parameters: RcptParameters
      readonly slot: Slot
    }
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
