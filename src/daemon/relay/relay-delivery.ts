/** What a session and its transaction have to say to each other. */
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import type { SmtpPool } from '../../backend/smtp-pool.ts'
import type { RelayConfig } from '../../config/config.ts'
import type { Reply } from '../../mail/reply.ts'
import type { Sender } from '../../protocol/smtp/capabilities.ts'
import type { Slot } from '../../protocol/smtp/outbox.ts'
import type { RcptParameters } from '../../protocol/smtp/parameters.ts'
import type { FreezeTable } from '../freezes.ts'
import type { RelayReport } from './relay-report.ts'
import type { SpoolGate } from './relay-spool.ts'

/** One final address, and where it is. */
export interface Member {
  readonly plan: SmtpPlan
  /** As it is handed to the back-end. */
  readonly address: string
  /** The name of its mailbox there. */
  readonly login: string
  /** What the map is to be asked for where it is tried again later. */
  readonly recipient: string
  /** Members of one key and back-end are one mailbox. */
  readonly key: string
}

/** What a recipient of the client comes to: itself, or the members of an alias. */
export interface Delivery {
  /** As the client asked for it. */
  readonly path: string
  readonly members: readonly Member[]
  /** The envelope sender of an alias with an owner. */
  readonly owner: string | undefined
  /** What the client asked to be told of this recipient. */
  readonly parameters: RcptParameters
}

/** What became of a message beside its reply. */
export interface MessageFate {
  /** Names of the back-ends that were concerned, joined with a comma. */
  readonly backend: string
  /** What was left over, and is in the spool. */
  readonly kept: Kept | undefined
}

/** Names are joined with a comma. */
export interface Kept {
  /** Ids in the spool. */
  readonly queue: string
  /** Back-ends that it is owed at. */
  readonly owedAt: string
  /** Back-ends that refused it for good. */
  readonly refusedBy: string
}

/** Who asked. Answers may come before the call that asked returns. */
export interface TransactionOwner {
  recipientAnswered(slot: Slot, answer: Reply): void
  dataAnswered(answer: Reply): void
  /** One answer for all recipients; or, `forEach`, one for each accepted, in the order asked. */
  messageAnswered(answers: readonly Reply[], fate: MessageFate): void
  /** All that one event brought has been told; the back-ends may take more, or be gone. */
  settled(): void
}

/** What a transaction begins with. */
export interface TransactionStart {
  readonly pool: SmtpPool
  readonly spool: SpoolGate
  readonly freezes: FreezeTable
  readonly sender: Sender
  /** Whether a notification to it would find its way: asked where something hangs on it. */
  readonly canTell: () => boolean
  /** The client hears of each recipient (LMTP). */
  readonly forEach: boolean
  readonly owner: TransactionOwner
  readonly report: RelayReport
  readonly relay: RelayConfig
  /** The header line to add. */
  readonly trace: () => string
}
