/**
 * What we answer a client of the relay: bytes in, actions out. RFC 5321, 2033, 2920, 1870, 6152, 3207.
 *
 * What a client may do next is in session-table.ts, what each command does in take-command.ts.
 * Recipients and DATA are answered by others, later, so each has a place in the queue of replies. While
 * one is awaited only RCPT and DATA are taken, the group that RFC 2920 lets a client send at once;
 * anything else waits unread. After our 354, octets go through the dot reader; the next command is read
 * when the message had its verdict: one reply, or by LMTP one for each accepted recipient, in order.
 *
 * Own rules: one reply a command, in order. `end` is asked for only after a good end of data. `close`
 * and `start-tls` are the last of their actions. A chunk is used up or copied before `push` returns.
 */
import { limits } from '../../base/limit.ts'
import type { Reply } from '../../mail/reply.ts'
import type { ClientAttributes } from './client-attributes.ts'
import type { FrontEndAction, FrontEndOptions } from './front-end-action.ts'
import { FrontEndCore } from './front-end-core.ts'
import { greetingOf, replies } from './front-end-replies.ts'
import { MessageIntake } from './message-intake.ts'
import type { Slot } from './outbox.ts'
import { takeCommand } from './take-command.ts'
import { hopOf } from './trace.ts'

export class SmtpFrontEnd {
  readonly #core: FrontEndCore
  #message: MessageIntake | undefined
  #isStopping = false

  constructor(options: FrontEndOptions) {
    this.#core = new FrontEndCore(options)
  }

  get secure(): boolean {
    return this.#core.secure
  }

  /** What the client called itself, and whether with EHLO or LHLO. */
  get hello(): string {
    return this.#core.hello
  }

  get isExtended(): boolean {
    return this.#core.isExtended
  }

  /** The open transaction was begun with SMTPUTF8. */
  get isSmtpUtf8(): boolean {
    return this.#core.isSmtpUtf8
  }

  /** Whom it speaks for, where XCLIENT has told. */
  get client(): ClientAttributes | undefined {
    return this.#core.client
  }

  /** False while more octets could only be kept: the client is to wait. */
  get wantsInput(): boolean {
    return this.#core.lines.length < limits.unparsedBytes
  }

  /** What the client is to send, where it is its turn: nothing of ours is awaited. */
  get awaitsClient(): 'message' | 'command' | undefined {
    const { mode, out } = this.#core
    if (mode === 'message') return 'message'
    return mode === 'commands' && !out.isWaiting ? 'command' : undefined
  }

  /** The session begins. What came before it came from somebody who does not wait to be greeted. */
  greet(): FrontEndAction[] {
    if (this.#core.mode !== 'greeting') return []
    this.#core.mode = 'commands'
    this.#core.out.sayText(greetingOf(this.#core.options))
    return this.#run()
  }

  push(chunk: Buffer): FrontEndAction[] {
    const core = this.#core
    if (core.mode === 'closing' || core.mode === 'closed' || core.mode === 'tls') return []
    if (core.mode === 'greeting') core.cutOff(replies.earlyTalker, 'early_talker')
    else core.lines.push(chunk)
    const actions = this.#run()
    core.lines.settle()
    return actions
  }

  recipientAnswered(slot: Slot, answer: Reply): FrontEndAction[] {
    const core = this.#core
    if (!core.envelope.count(answer) && core.mode !== 'closing') {
      // What it has sent along, DATA perhaps, is not answered any more.
      core.out.fillLast(slot, replies.tooManyUnknown)
      core.hangUp('rcpt_harvest')
    } else core.out.fill(slot, answer)
    return this.#run()
  }

  /** 354: the message may come. Else DATA is refused, and the transaction is over. */
  dataAnswered(answer: Reply): FrontEndAction[] {
    const core = this.#core
    const { dataSlot, envelope, options } = core
    if (core.mode !== 'data-asked' || dataSlot === undefined) return []
    if (answer.code === 354 && envelope.accepted > 0) {
      core.mode = 'message'
      const { bareNewline, offers, hostname } = options
      const ownHop = hopOf(hostname)
      this.#message = new MessageIntake({ bareNewline, limitBytes: offers.limitBytes, ownHop })
      core.out.fill(dataSlot, replies.goAhead)
    } else {
      // RFC 2033 4.2 has a code of its own for it.
      const nobody = options.protocol === 'lmtp' ? replies.noSuccess : replies.noRecipients
      core.out.fill(dataSlot, envelope.accepted === 0 ? nobody : answer)
      core.abort()
      this.#endTransaction()
    }
    return this.#run()
  }

  /**
   * The verdict on the message: one for all recipients, or to a client by LMTP one for each accepted,
   * in the order of their RCPT. Before its end (the back-end was lost): the rest is read and thrown
   * away, and then this is said.
   */
  messageAnswered(answers: readonly Reply[]): FrontEndAction[] {
    if (this.#core.mode === 'message' && this.#message !== undefined) {
      this.#message.verdict ??= { replies: answers, end: undefined }
    } else if (this.#core.mode === 'verdict') {
      this.#sayVerdict(answers)
      this.#endTransaction()
    }
    return this.#run()
  }

  tlsStarted(): FrontEndAction[] {
    const core = this.#core
    core.secure = true
    core.hello = ''
    core.forwarded = undefined
    core.advance('secured')
    core.mode = 'commands'
    return this.#run()
  }

  /** The client has been silent for too long, or a message comes too slowly. */
  timedOut(reason: 'idle_timeout' | 'slow_data'): FrontEndAction[] {
    this.#core.cutOff(replies[reason], reason)
    return this.#run()
  }

  /** The daemon is stopping: a transaction may still end, another may not begin. */
  shutDown(): FrontEndAction[] {
    this.#isStopping = true
    return this.#run()
  }

  /** The daemon waits no longer for a transaction to end. */
  stopNow(): FrontEndAction[] {
    this.#core.abort()
    this.#core.close(replies.stopping, 'shutdown')
    return this.#run()
  }

  /** Takes what may be taken now; returns what is to be done, what is to be said first. */
  #run(): FrontEndAction[] {
    const core = this.#core
    while (this.#takeNext());
    if (core.mode === 'closing' && !core.out.isWaiting) {
      core.mode = 'closed'
      core.out.ask({ do: 'close', end: core.end })
    }
    return core.out.take()
  }

  /** False when nothing more can be taken. */
  #takeNext(): boolean {
    const core = this.#core
    const { lines, out } = core
    const isAtRest = core.mode === 'commands' || core.mode === 'greeting'
    const isBetween = isAtRest && !core.envelope.isOpen && !out.isWaiting
    if (isBetween && this.#isStopping) core.close(replies.stopping, 'shutdown')
    if (lines.length === 0) return false
    if (core.mode === 'message') return this.#takeMessage(lines.takeAll())
    if (core.mode === 'data-asked') core.refuseEarly(core.dataSlot)
    if (core.mode !== 'commands' || out.isFull) return false
    if (out.isWaiting && !lines.isInGroup) return false
    const command = lines.next()
    if (command !== undefined) takeCommand(core, command)
    return command !== undefined
  }

  #takeMessage(chunk: Buffer): boolean {
    const core = this.#core
    const message = this.#message
    if (message === undefined) return false
    const { pass, refusal, end, isOverrun } = message.push(chunk)
    if (refusal !== undefined) {
      core.refuse(refusal)
      core.abort()
    }
    if (pass.length > 0) core.out.ask({ do: 'pass', parts: pass })
    if (end === undefined) {
      if (isOverrun && message.verdict !== undefined) {
        this.#sayVerdict(message.verdict.replies)
        core.leave('refused')
      }
      return false
    }
    if (end < chunk.length) core.lines.push(chunk.subarray(end))
    if (message.verdict === undefined) {
      core.mode = 'verdict'
      core.out.ask({ do: 'end', bytes: message.bytes, bareLf: message.bareLf })
      return false
    }
    this.#sayVerdict(message.verdict.replies)
    this.#endTransaction()
    if (message.verdict.end !== undefined) core.leave(message.verdict.end)
    return true
  }

  #sayVerdict(answers: readonly Reply[]): void {
    const { out, options, envelope } = this.#core
    const count = options.protocol === 'lmtp' ? envelope.accepted : 1
    for (let index = 0; index < count; index++) {
      const answer = answers[index] ?? answers.at(-1)
      if (answer !== undefined) out.say(answer)
    }
  }

  #endTransaction(): void {
    this.#message = undefined
    this.#core.endTransaction()
  }
}
