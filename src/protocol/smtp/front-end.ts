/**
 * What we answer a client of the relay: bytes in, actions out. RFC 5321, 2920, 1870, 6152, 3207.
 *
 * What a client may do next is in session-table.ts. Recipients and DATA are answered by others,
 * later, so each has a place in the queue of replies. While one is awaited only RCPT and DATA are
 * taken, the group that RFC 2920 lets a client send at once; anything else waits unread. After our
 * 354, octets go through the dot reader; the next command is read when the message had its verdict.
 *
 * Own rules: one reply a command, in order. `end` is asked for only after a good end of data. `close`
 * and `start-tls` are the last of their actions. A chunk is used up or copied before `push` returns.
 */
import { limits } from '../../base/limit.ts'
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import type { Reply } from '../../mail/reply.ts'
import { CommandLines } from './command-lines.ts'
import { EnvelopePhase } from './envelope-phase.ts'
import type { FrontEndAction, FrontEndOptions } from './front-end-action.ts'
import { helloReply, replies } from './front-end-replies.ts'
import type { Command } from './grammar.ts'
import { MessageIntake } from './message-intake.ts'
import { Outbox, type Slot } from './outbox.ts'
import type { TableEvent } from './session-table.ts'

type Mode = 'commands' | 'data-asked' | 'message' | 'verdict' | 'tls' | 'closing' | 'closed'

export class SmtpFrontEnd {
  secure: boolean
  /** What the client called itself, and whether with EHLO. */
  hello = ''
  isExtended = false
  readonly #options: FrontEndOptions
  readonly #lines = new CommandLines()
  readonly #out = new Outbox()
  readonly #envelope = new EnvelopePhase()
  #mode: Mode = 'commands'
  #end: SessionEnd = 'client_closed'
  #message: MessageIntake | undefined
  #dataSlot: Slot | undefined
  #badCommands = 0
  #isStopping = false

  constructor(options: FrontEndOptions) {
    this.#options = options
    this.secure = options.secure
  }

  /** False while more octets could only be kept: the client is to wait. */
  get wantsInput(): boolean {
    return this.#lines.length < limits.unparsedBytes
  }

  /** It is the client's turn: nothing of ours is awaited. */
  get awaitsClient(): boolean {
    return this.#mode === 'message' || (this.#mode === 'commands' && !this.#out.isWaiting)
  }

  push(chunk: Buffer): FrontEndAction[] {
    if (this.#mode === 'closing' || this.#mode === 'closed' || this.#mode === 'tls') return []
    this.#lines.push(chunk)
    const actions = this.#run()
    this.#lines.settle()
    return actions
  }

  recipientAnswered(slot: Slot, answer: Reply): FrontEndAction[] {
    if (!this.#envelope.count(answer) && this.#mode !== 'closing') {
      this.#hangUp('rcpt_harvest')
      this.#out.fill(slot, replies.tooManyUnknown)
    } else this.#out.fill(slot, answer)
    return this.#run()
  }

  /** 354: the message may come. Else DATA is refused, and the transaction is over. */
  dataAnswered(answer: Reply): FrontEndAction[] {
    if (this.#mode !== 'data-asked' || this.#dataSlot === undefined) return []
    if (answer.code === 354 && this.#envelope.accepted > 0) {
      this.#mode = 'message'
      this.#message = new MessageIntake(this.#options)
      this.#out.fill(this.#dataSlot, replies.goAhead)
    } else {
      const refusal = this.#envelope.accepted === 0 ? replies.noRecipients : answer
      this.#out.fill(this.#dataSlot, refusal)
      this.#abort()
      this.#endTransaction()
    }
    return this.#run()
  }

  /**
   * The verdict on the message. Before its end (the back-end was lost): the rest is read and thrown
   * away, and then this is said.
   */
  messageAnswered(answer: Reply): FrontEndAction[] {
    if (this.#mode === 'message' && this.#message !== undefined) {
      this.#message.verdict ??= { reply: answer, end: undefined }
    } else if (this.#mode === 'verdict') {
      this.#out.say(answer)
      this.#endTransaction()
    }
    return this.#run()
  }

  tlsStarted(): FrontEndAction[] {
    this.secure = true
    this.hello = ''
    this.#advance('secured')
    this.#mode = 'commands'
    return this.#run()
  }

  /** The client has been silent for too long. */
  timedOut(): FrontEndAction[] {
    this.#cutOff(replies.idle, 'idle_timeout')
    return this.#run()
  }

  /** The daemon is stopping: a transaction may still end, another may not begin. */
  shutDown(): FrontEndAction[] {
    this.#isStopping = true
    return this.#run()
  }

  /** Takes what may be taken now; returns what is to be done, what is to be said first. */
  #run(): FrontEndAction[] {
    while (this.#takeNext());
    if (this.#mode === 'closing' && !this.#out.isWaiting) {
      this.#mode = 'closed'
      this.#out.ask({ do: 'close', end: this.#end })
    }
    return this.#out.take()
  }

  /** False when nothing more can be taken. */
  #takeNext(): boolean {
    const isBetween = this.#mode === 'commands' && !this.#envelope.isOpen && !this.#out.isWaiting
    if (isBetween && this.#isStopping) this.#close(replies.stopping, 'shutdown')
    if (this.#lines.length === 0) return false
    if (this.#mode === 'message') return this.#takeMessage(this.#lines.takeAll())
    if (this.#mode === 'data-asked') this.#refuseEarly(this.#dataSlot)
    if (this.#mode !== 'commands' || this.#out.isFull) return false
    if (this.#out.isWaiting && !this.#lines.isInGroup) return false
    const command = this.#lines.next()
    if (command !== undefined) this.#take(command)
    return command !== undefined
  }

  #take(command: Command): void {
    switch (command.verb) {
      case 'EHLO':
      case 'HELO':
        return this.#greet(command.verb === 'EHLO', command.domain)
      case 'MAIL':
        return this.#begin(command)
      case 'RCPT':
        if (!this.#advance('RCPT')) return
        return this.#out.ask({ do: 'recipient', path: command.path, slot: this.#out.reserve() })
      case 'DATA':
        return this.#data()
      case 'RSET':
        this.#abort()
        this.#advance('RSET')
        return this.#out.say(replies.ok)
      case 'NOOP':
        return this.#out.say(replies.ok)
      case 'VRFY':
        return this.#out.say(replies.cannotVerify)
      case 'QUIT':
        this.#abort()
        return this.#close(replies.bye, 'logout')
      case 'STARTTLS':
        return this.#startTls()
      case 'HOSTILE':
        return this.#cutOff(command.refusal, command.reason)
      case 'BAD':
        if (command.reason !== undefined) this.#refuse(command.reason)
        return this.#bad(command.refusal)
    }
  }

  #greet(isExtended: boolean, domain: string): void {
    this.#abort()
    this.#advance('HELLO')
    this.hello = domain
    this.isExtended = isExtended
    this.#out.say(helloReply(this.#options, isExtended, this.secure))
  }

  #begin({ path, sizeBytes, body }: Command & { verb: 'MAIL' }): void {
    if ((sizeBytes ?? 0) > this.#options.limitBytes) {
      this.#refuse('message_too_big')
      return this.#out.say(replies.tooBig)
    }
    if (!this.#advance('MAIL')) return
    this.#out.ask({ do: 'begin', sender: { path: path.wire, sizeBytes, body } })
    this.#out.say(replies.senderOk)
  }

  #data(): void {
    if (!this.#advance('DATA')) return
    if (this.#lines.length > 0) return this.#refuseEarly(undefined)
    this.#dataSlot = this.#out.reserve()
    this.#mode = 'data-asked'
    this.#out.ask({ do: 'data' })
  }

  /** The message came before it was asked for: it may be meant for someone else's parser. */
  #refuseEarly(slot: Slot | undefined): void {
    if (slot === undefined) this.#out.say(replies.early)
    else this.#out.fill(slot, replies.early)
    this.#hangUp('unauth_pipelining')
  }

  #takeMessage(chunk: Buffer): boolean {
    const message = this.#message
    if (message === undefined) return false
    const { pass, refusal, end, isOverrun } = message.push(chunk)
    if (refusal !== undefined) {
      this.#refuse(refusal)
      this.#abort()
    }
    if (pass.length > 0) this.#out.ask({ do: 'pass', parts: pass })
    if (end === undefined) {
      if (isOverrun && message.verdict !== undefined) this.#close(message.verdict.reply, 'refused')
      return false
    }
    if (end < chunk.length) this.#lines.push(chunk.subarray(end))
    if (message.verdict === undefined) {
      this.#mode = 'verdict'
      this.#out.ask({ do: 'end', bytes: message.bytes, bareLf: message.bareLf })
      return false
    }
    this.#out.say(message.verdict.reply)
    this.#endTransaction()
    if (message.verdict.end !== undefined) this.#leave(message.verdict.end)
    return true
  }

  #startTls(): void {
    if (this.secure) return this.#bad(replies.tlsActive)
    if (!this.#options.startTls) return this.#bad(replies.notImplemented)
    if (this.#lines.length > 0) return this.#cutOff(replies.tlsPipelined, 'starttls_pipelined')
    this.#abort()
    this.#out.say(replies.startTls)
    this.#mode = 'tls'
    this.#out.ask({ do: 'start-tls' })
  }

  /** Enters the next phase; where the event is out of order it says so and returns false. */
  #advance(event: TableEvent): boolean {
    const refusal = this.#envelope.advance(event)
    if (refusal === undefined) return true
    // A limit is no fault of the client.
    if (refusal.code < 500) this.#out.say(refusal)
    else this.#bad(refusal)
    return false
  }

  #endTransaction(): void {
    this.#message = undefined
    this.#dataSlot = undefined
    this.#mode = 'commands'
    this.#advance('ended')
  }

  #bad(refusal: Reply): void {
    this.#badCommands++
    if (this.#badCommands < limits.badCommands) return this.#out.say(refusal)
    this.#cutOff(replies.tooManyBad, 'bad_commands')
  }

  /** Says no more than this; nothing after it is read. */
  #cutOff(answer: Reply, reason: RefusalReason): void {
    this.#out.say(answer)
    this.#hangUp(reason)
  }

  #hangUp(reason: RefusalReason): void {
    this.#refuse(reason)
    this.#abort()
    this.#leave('refused')
  }

  #close(answer: Reply, end: SessionEnd): void {
    this.#out.say(answer)
    this.#leave(end)
  }

  #leave(end: SessionEnd): void {
    this.#mode = 'closing'
    this.#end = end
  }

  #abort(): void {
    if (this.#envelope.isOpen) this.#out.ask({ do: 'abort' })
  }

  #refuse(reason: RefusalReason): void {
    this.#out.ask({ do: 'refuse', reason })
  }
}
