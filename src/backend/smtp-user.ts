/** Who has a connection to a back-end, and what it is told. */
import type { BackEndFailure } from '../protocol/smtp/back-end-action.ts'
import type { RawReply } from '../protocol/smtp/reply-reader.ts'

/** After `connectionFailed` nothing follows but `lateVerdict`. */
export interface SmtpUser {
  /** Nobody waits for the verdict on a message: each answer to it may take the time of one. */
  readonly isUnhurried?: true
  connectionReady(): void
  recipientAnswered(reply: RawReply): void
  dataAnswered(reply: RawReply): void
  messageAnswered(replies: readonly RawReply[]): void
  connectionFailed(failure: BackEndFailure): void
  /** What was said of a message in the end, and how long that took from its end on. */
  lateVerdict?(replies: readonly RawReply[], waitedMs: number): void
  /** More of the message may be written. */
  drained(): void
  /** All that one piece of input brought has been told. */
  settled(): void
}
