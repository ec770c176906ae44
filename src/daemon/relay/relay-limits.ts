/** What one client of the relay may bring in a time, over all of its sessions; for one message. */
import { reply } from '../../mail/reply.ts'
import type { RelayClient } from './relay-client.ts'
import type { RelayReport } from './relay-report.ts'
import type { RelayRoute } from './relay-route.ts'
import type { Runtime } from '../runtime.ts'

const tooMuchMail = reply(450, '4.7.1', 'too many messages from your address, try again later')
const tooManyRecipients = reply(450, '4.7.1', 'too many recipients from your address, try later')

type Refusal = Extract<RelayRoute, { kind: 'answer' }>

export interface LimitedMessage {
  readonly runtime: Runtime
  readonly report: RelayReport
  readonly client: RelayClient
}

export class RelayLimits {
  readonly #message: LimitedMessage
  readonly #isMessageOver: boolean

  /** Counts a message that begins. */
  constructor(message: LimitedMessage) {
    this.#message = message
    this.#isMessageOver = message.runtime.isMessageOver(this.#address)
    if (this.#isMessageOver) message.report.refuse('message_rate')
  }

  /** What is answered to the next recipient, which is counted; undefined where it may go on. */
  refusal(): Refusal | undefined {
    if (this.#isMessageOver) return { kind: 'answer', reply: tooMuchMail }
    const { runtime, report } = this.#message
    if (!runtime.isRecipientOver(this.#address)) return undefined
    report.refuse('rcpt_rate')
    return { kind: 'answer', reply: tooManyRecipients }
  }

  /** Where a trusted host speaks for others (XCLIENT), they are the clients. */
  get #address(): string {
    return this.#message.client.address ?? ''
  }
}
