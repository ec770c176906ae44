/** What is handed to the spool: an envelope, the message as it goes to back-ends, and who takes it. */
import type { Reply } from '../mail/reply.ts'
import type { DiskFile } from '../storage/disk.ts'

/** Per recipient: final address (after alias expansion), in wire form. */
export interface SpooledRecipient {
  readonly address: string
  /** ORCPT as the client gave it, else undefined. RFC 3461 4.2. */
  readonly originalRecipient: string | undefined
  /** NOTIFY as the client gave it; undefined: none was given. */
  readonly notify: readonly ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[] | undefined
  /**
   * What is known of it when the message is taken in: still owed, or refused for good and to be
   * reported to the sender; or an alias whose members have it, to be reported likewise.
   */
  readonly state:
    | { readonly kind: 'owed'; readonly backend: string | undefined; readonly reason: string }
    | { readonly kind: 'refused'; readonly backend: string | undefined; readonly reply: Reply }
    | { readonly kind: 'expanded'; readonly action: 'expanded' | 'delivered' }
}

export interface SpooledEnvelope {
  /** Envelope sender, wire form; '' for the null path. Recipients with another sender (owner-…) are another message. */
  readonly sender: string
  readonly body: '7BIT' | '8BITMIME' | undefined
  readonly smtpUtf8: boolean
  readonly ret: 'FULL' | 'HDRS' | undefined
  readonly envelopeId: string | undefined
  readonly recipients: readonly SpooledRecipient[]
  /** Service, session id and peer it came by, for the log. */
  readonly service: 'smtp' | 'lmtp'
  readonly session: string
  readonly peer: string
}

/** The message as it goes to a back-end: with our Received line, CRLF line ends, dots stuffed, WITHOUT the final dot line. */
export type SpooledContent =
  | { readonly kind: 'memory'; readonly parts: readonly Buffer[] }
  | { readonly kind: 'file'; readonly file: DiskFile; readonly lengthBytes: number }

export interface SpoolWriter {
  /** So little room is left that nothing should be begun that may need it. */
  readonly isCrowded: boolean
  /**
   * Returns the queue id when data, name and directory are durable. Throws MailmuxError SPOOL_FULL
   * (→ 452 4.3.1) or SPOOL_FAILED (→ 451 4.3.0). `unwanted`: once it is aborted, nothing is taken any
   * more that is not there yet.
   */
  accept(
    envelope: SpooledEnvelope,
    content: SpooledContent,
    unwanted?: AbortSignal,
  ): Promise<string>
}
