/**
 * The message under way in a session: where its recipients go, its header line, what the log says of it.
 * The transaction with the back-ends is its own.
 */
import type { Reply } from '../../mail/reply.ts'
import type { Sender } from '../../protocol/smtp/capabilities.ts'
import type { ClientAttributes } from '../../protocol/smtp/client-attributes.ts'
import type { SmtpFrontEnd } from '../../protocol/smtp/front-end.ts'
import type { FrontEndAction } from '../../protocol/smtp/front-end-action.ts'
import type { Slot } from '../../protocol/smtp/outbox.ts'
import type { ClientLine } from '../client-line.ts'
import type { RelayClient } from './relay-client.ts'
import type { MessageFate, TransactionOwner } from './relay-delivery.ts'
import { RelayLimits } from './relay-limits.ts'
import { relayMeansOf } from './relay-pool.ts'
import type { RelayReport } from './relay-report.ts'
import { routeRecipient } from './relay-route.ts'
import { RelayTransaction } from './relay-transaction.ts'
import type { Generation, Runtime } from '../runtime.ts'
import { canBeTold } from '../sender-reach.ts'

type Asked<Do extends FrontEndAction['do']> = Extract<FrontEndAction, { do: Do }>

export interface MessageStart {
  readonly runtime: Runtime
  readonly protocol: 'smtp' | 'lmtp'
  readonly owner: TransactionOwner
  readonly report: RelayReport
  readonly client: RelayClient
  readonly machine: SmtpFrontEnd
  readonly line: ClientLine
}

export class RelayMessage {
  readonly transaction: RelayTransaction
  readonly #start: MessageStart
  /** A transaction is decided by one generation, whatever is reloaded meanwhile. */
  readonly #generation: Generation
  readonly #sender: Sender
  readonly #limits: RelayLimits
  /** Whose message it is, where the client has told by XFORWARD. */
  readonly #forwarded: ClientAttributes | undefined
  readonly #asked = new Map<Slot, string>()
  #accepted: string[] = []
  #sent: { readonly bytes: number; readonly bareLf: number } | undefined

  constructor(start: MessageStart, { sender, forwarded }: Asked<'begin'>) {
    const { runtime, protocol, owner, report } = start
    this.#start = start
    this.#generation = runtime.current
    this.#sender = sender
    this.#limits = new RelayLimits(start)
    this.#forwarded = forwarded
    const { config } = this.#generation
    this.transaction = new RelayTransaction({
      ...relayMeansOf(runtime),
      relay: config.relay,
      sender,
      canTell: () => canBeTold(sender.path, config),
      forEach: protocol === 'lmtp',
      owner,
      report,
      trace: () => this.#trace(),
    })
  }

  recipient({ path, parameters, slot }: Asked<'recipient'>): void {
    const { client, machine, report } = this.#start
    this.#asked.set(slot, path.wire)
    const { smtpUtf8 } = this.#sender
    const route = this.#limits.refusal() ?? routeRecipient(this.#generation, path, smtpUtf8)
    if (route.kind === 'deliver') {
      const members = route.members.map((member) => {
        const plan = client.passTo(member.plan, machine, this.#forwarded)
        return plan === member.plan ? member : { ...member, plan }
      })
      const { owner } = route
      this.transaction.recipient(slot, { path: path.wire, members, owner, parameters })
      return
    }
    if (route.refusal !== undefined) report.refuse(route.refusal)
    if (route.fault !== undefined) report.fault(route.fault)
    this.#start.owner.recipientAnswered(slot, route.reply)
  }

  answered(slot: Slot, { code }: Reply): void {
    const path = this.#asked.get(slot)
    this.#asked.delete(slot)
    if (code < 300 && path !== undefined) this.#accepted.push(path)
  }

  end({ bytes, bareLf }: Asked<'end'>): void {
    this.#sent = { bytes, bareLf }
    this.transaction.end()
  }

  /** What its end came to, as the client hears it. Returns false where the end was not sent on. */
  report({ code }: Reply, fate: MessageFate): boolean {
    if (this.#sent === undefined) return false
    const recipients = this.#accepted.length
    const client = this.#forwarded?.address
    this.#start.report.message({ ...this.#sent, recipients, client }, code, fate)
    this.#sent = undefined
    return true
  }

  #trace(): string {
    const { report, client, protocol, machine, line } = this.#start
    const { hello, isExtended, secure } = machine
    const [only, second] = this.#accepted
    return report.trace({
      client,
      hello,
      session: { protocol, isExtended, isSmtpUtf8: this.#sender.smtpUtf8, secure },
      hostname: this.#generation.config.hostname,
      tls: line.tls === '' ? undefined : { version: line.tls, cipher: line.cipher },
      recipient: second === undefined ? only : undefined,
    })
  }
}
