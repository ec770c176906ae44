/** What every step of a client's session may do to it: say, refuse, end, and where it stands. */
import { limits } from '../../base/limit.ts'
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { Reply } from '../../mail/reply.ts'
import type { ClientAttributes } from './client-attributes.ts'
import { CommandLines } from './command-lines.ts'
import { EnvelopePhase } from './envelope-phase.ts'
import type { FrontEndOptions } from './front-end-action.ts'
import { replies } from './front-end-replies.ts'
import { parseCommand } from './grammar.ts'
import { Outbox, type Slot } from './outbox.ts'
import type { TableEvent } from './session-table.ts'

export type Mode =
  | 'greeting'
  | 'commands'
  | 'data-asked'
  | 'message'
  | 'verdict'
  | 'tls'
  | 'closing'
  | 'closed'

export class FrontEndCore {
  mode: Mode = 'greeting'
  end: SessionEnd = 'client_closed'
  secure: boolean
  /** What the client called itself, and whether with EHLO or LHLO. */
  hello = ''
  isExtended = false
  /** Of the open transaction. */
  isSmtpUtf8 = false
  dataSlot: Slot | undefined
  /** What XCLIENT has told so far. */
  client: ClientAttributes | undefined
  /** What XFORWARD has told for the next message. */
  forwarded: ClientAttributes | undefined
  readonly options: FrontEndOptions
  readonly lines: CommandLines
  readonly out = new Outbox()
  readonly envelope: EnvelopePhase
  #badCommands = 0

  constructor(options: FrontEndOptions) {
    this.options = options
    this.secure = options.secure
    this.lines = new CommandLines((line) => parseCommand(line, options))
    this.envelope = new EnvelopePhase(options.protocol === 'smtp')
  }

  /** Enters the next phase; where the event is out of order it says so and returns false. */
  advance(event: TableEvent): boolean {
    const refusal = this.envelope.advance(event)
    if (refusal === undefined) return true
    // A limit is no fault of the client.
    if (refusal.code < 500) this.out.say(refusal)
    else this.bad(refusal)
    return false
  }

  endTransaction(): void {
    this.dataSlot = undefined
    this.forwarded = undefined
    this.mode = 'commands'
    this.advance('ended')
  }

  /** It speaks for somebody else from now on. */
  changeClient(client: ClientAttributes): void {
    this.client = { ...this.client, ...client }
    this.hello = ''
    this.isExtended = false
    this.forwarded = undefined
    this.#badCommands = 0
    this.envelope.forgetClient()
    this.out.ask({ do: 'client', client: this.client })
  }

  bad(refusal: Reply): void {
    this.#badCommands++
    if (this.#badCommands < limits.badCommands) return this.out.say(refusal)
    this.cutOff(replies.tooManyBad, 'bad_commands')
  }

  /** Says no more than this; nothing after it is read. */
  cutOff(answer: Reply, reason: RefusalReason): void {
    this.out.say(answer)
    this.hangUp(reason)
  }

  hangUp(reason: RefusalReason): void {
    this.refuse(reason)
    this.abort()
    this.leave('refused')
  }

  close(answer: Reply, end: SessionEnd): void {
    this.out.say(answer)
    this.leave(end)
  }

  leave(end: SessionEnd): void {
    this.mode = 'closing'
    this.end = end
  }

  abort(): void {
    if (this.envelope.isOpen) this.out.ask({ do: 'abort' })
  }

  refuse(reason: RefusalReason): void {
    this.out.ask({ do: 'refuse', reason })
  }

  /** The message came before it was asked for: it may be meant for someone else's parser. */
  refuseEarly(slot: Slot | undefined): void {
    if (slot === undefined) this.out.say(replies.early)
    else this.out.fill(slot, replies.early)
    this.hangUp('unauth_pipelining')
  }
}
