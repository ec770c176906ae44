/** What a session and its transaction have to say to each other. */
import type { SmtpPlan } from '../backend/smtp-connection.ts'
import type { SmtpPool } from '../backend/smtp-pool.ts'
import type { Reply } from '../mail/reply.ts'
import type { Sender } from '../protocol/smtp/capabilities.ts'
import type { Slot } from '../protocol/smtp/outbox.ts'
import type { RelayReport } from './relay-report.ts'

/** What a recipient needs of a back-end. */
export interface Delivery {
  readonly plan: SmtpPlan
  readonly addresses: readonly string[]
  readonly owner: string | undefined
}

/** Who asked. Answers may come before the call that asked returns. */
export interface TransactionOwner {
  recipientAnswered(slot: Slot, answer: Reply): void
  dataAnswered(answer: Reply): void
  messageAnswered(answer: Reply): void
  /** All that one event brought has been told; the back-end may take more, or be gone. */
  settled(): void
}

/** What a transaction begins with. */
export interface TransactionStart {
  readonly pool: SmtpPool
  readonly sender: Sender
  readonly owner: TransactionOwner
  readonly report: RelayReport
  /** The header line to add. */
  readonly trace: () => string
}
