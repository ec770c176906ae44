/**
 * One transaction of a client, from MAIL to the verdict, and the one back-end that gets it.
 *
 * The first recipient decides the back-end and the envelope sender there; while nobody was accepted
 * another recipient may decide anew. Who then fits neither is answered 452, so that the client sends
 * the message again for those left. An LMTP back-end answers for each recipient after the end of
 * data, where we can give one answer only: the worst of theirs counts, temporary before permanent, so
 * that no copy is lost unheard.
 *
 * Own rules: everything asked is answered, once. After the first octet of the message nothing is
 * tried again. The end of data goes out only by `end`.
 */
import type { SmtpConnection, SmtpUser } from '../backend/smtp-connection.ts'
import { classOf, type Reply } from '../mail/reply.ts'
import { cleanReply } from '../protocol/smtp/clean-reply.ts'
import type { BackEndFailure } from '../protocol/smtp/back-end-action.ts'
import type { Slot } from '../protocol/smtp/outbox.ts'
import type { RawReply } from '../protocol/smtp/reply-reader.ts'
import {
  answerTo,
  bestOf,
  goAhead,
  isBeforeReady,
  lost,
  noRecipients,
  notTried,
  tooMany,
  worstOf,
} from './relay-answers.ts'
import type { Delivery, TransactionStart } from './relay-delivery.ts'

interface Waiting extends Delivery {
  readonly slot: Slot
}

/** A recipient of the client that the back-end was asked about. */
interface Asked extends Waiting {
  readonly replies: Reply[]
}

type Stage = 'recipients' | 'data-asked' | 'message' | 'verdict' | 'over'

export class RelayTransaction implements SmtpUser {
  /** Recipients of the client that were accepted. */
  accepted = 0
  readonly #start: TransactionStart
  #connection: SmtpConnection | undefined
  /** The envelope sender at the present back-end. */
  #path = ''
  #waiting: Waiting[] = []
  #asked: Asked[] = []
  #stage: Stage = 'recipients'
  #isTraced = false
  #isDataSent = false
  #wasRetried = false
  /** A back-end that failed in this transaction is not tried again in it. */
  #failed: { readonly backend: string; readonly answer: Reply } | undefined
  /** Answers all that is still asked, after accepted recipients were lost with their connection. */
  #broken: Reply | undefined

  constructor(start: TransactionStart) {
    this.#start = start
  }

  get backend(): string | undefined {
    return this.#connection?.plan.backend
  }

  get isBlocked(): boolean {
    return this.#connection?.isBlocked === true
  }

  get awaitsVerdict(): boolean {
    return this.#stage === 'verdict'
  }

  /** Answered by `recipientAnswered`. */
  recipient(slot: Slot, delivery: Delivery): void {
    this.#waiting.push({ slot, ...delivery })
    this.#askWaiting()
  }

  /** Answered by `dataAnswered`. */
  data(): void {
    this.#stage = 'data-asked'
    this.#askData()
  }

  write(parts: readonly Buffer[]): void {
    this.#writeTrace()
    for (const part of parts) this.#connection?.write(part)
  }

  /** The message is complete; answered by `messageAnswered`. */
  end(): void {
    this.#writeTrace()
    this.#stage = 'verdict'
    this.#connection?.endOfData()
  }

  /** Sends what was written. */
  flush(): void {
    this.#connection?.flush()
  }

  /** Forgets everything; what was asked is answered. The back-end sees no end of data. */
  abort(): void {
    if (this.#stage === 'over') return
    this.#stage = 'over'
    this.#release()
    this.#answerAll(lost.broken)
  }

  connectionReady(): void {
    if (this.#connection !== undefined) this.#start.pool.report(this.#connection.plan, true)
  }

  recipientAnswered(raw: RawReply): void {
    const [asked] = this.#asked
    if (asked === undefined) return
    asked.replies.push(this.#clean(raw))
    if (asked.replies.length < asked.addresses.length) return
    this.#asked.shift()
    const answer = bestOf(asked.replies)
    if (classOf(answer) === 'success') this.accepted++
    this.#start.owner.recipientAnswered(asked.slot, answer)
    this.#askWaiting()
  }

  dataAnswered(raw: RawReply): void {
    if (this.#stage !== 'data-asked') return
    const isTaken = raw.code === 354
    this.#stage = isTaken ? 'message' : 'recipients'
    this.#start.owner.dataAnswered(isTaken ? goAhead : this.#clean(raw))
  }

  messageAnswered(raws: readonly RawReply[]): void {
    if (this.#stage !== 'verdict') return
    const verdict = worstOf(raws.map((raw) => this.#clean(raw)))
    const wasTakenBySome = raws.some(({ code }) => code < 300)
    // Whoever has it already will get it again.
    if (classOf(verdict) === 'temporary' && wasTakenBySome)
      this.#start.report.uncertain(this.backend ?? '')
    this.#stage = 'over'
    // First, so that what the client has pipelined finds it free.
    this.#release()
    this.#start.owner.messageAnswered(verdict)
  }

  connectionFailed(failure: BackEndFailure): void {
    const connection = this.#connection
    if (connection === undefined) return
    this.#connection = undefined
    if (this.#tryAgain(connection)) return
    const { backend } = connection.plan
    this.#start.report.backendFailed(backend, failure)
    if (isBeforeReady(failure)) this.#start.pool.report(connection.plan, false)
    const answer = answerTo(failure)
    const isUnknown = failure.step === 'end_of_data' && !failure.isShutdown
    if (isUnknown) this.#start.report.uncertain(backend)
    this.#fail(backend, isUnknown ? lost.broken : answer)
  }

  drained(): void {
    this.#start.owner.settled()
  }

  settled(): void {
    this.#start.owner.settled()
  }

  #askWaiting(): void {
    while (this.#stage !== 'over') {
      const [next] = this.#waiting
      if (next === undefined) break
      if (this.#broken === undefined && !this.#fits(next)) {
        // Who is asked about may yet be refused, and then this one decides.
        if (this.#asked.length > 0) return
        if (this.accepted === 0) this.#release()
      }
      this.#waiting.shift()
      this.#place(next)
    }
    if (this.#stage === 'data-asked') this.#askData()
  }

  #place(next: Waiting): void {
    const isFailed = this.#failed?.backend === next.plan.backend
    const hopeless = this.#broken ?? (isFailed ? this.#failed?.answer : undefined)
    if (hopeless !== undefined) this.#start.owner.recipientAnswered(next.slot, hopeless)
    else if (this.#connection === undefined) this.#open(next)
    else if (this.#fits(next)) this.#ask(next)
    else this.#start.owner.recipientAnswered(next.slot, tooMany)
  }

  #fits({ plan, owner }: Delivery): boolean {
    const { plan: present } = this.#connection ?? {}
    return present?.backend === plan.backend && this.#path === this.#senderFor(owner)
  }

  /** A notification keeps its null sender (RFC 5321 4.5.5), so that an owner gets no loops. */
  #senderFor(owner: string | undefined): string {
    return this.#start.sender.path === '' ? '' : (owner ?? this.#start.sender.path)
  }

  #open(first: Waiting): void {
    this.#path = this.#senderFor(first.owner)
    this.#connection = this.#start.pool.lease(first.plan, this)
    if (this.#connection === undefined) {
      this.#start.report.backendFailed(first.plan.backend, notTried)
      this.#failed = { backend: first.plan.backend, answer: lost.unreachable }
      this.#start.owner.recipientAnswered(first.slot, lost.unreachable)
      return
    }
    this.#begin(this.#connection)
    this.#ask(first)
  }

  #begin(connection: SmtpConnection): void {
    connection.begin({ ...this.#start.sender, path: this.#path })
  }

  #ask(recipient: Waiting): void {
    this.#asked.push({ ...recipient, replies: [] })
    for (const address of recipient.addresses) this.#connection?.recipient(address)
  }

  /** DATA goes out with the last recipients, before their answers, where the back-end allows it. */
  #askData(): void {
    if (this.#waiting.length > 0 || this.#isDataSent) return
    if (this.#connection !== undefined) {
      this.#isDataSent = true
      this.#connection.data()
    } else this.#start.owner.dataAnswered(this.#broken ?? noRecipients)
  }

  #writeTrace(): void {
    if (!this.#isTraced) this.#connection?.write(this.#start.trace())
    this.#isTraced = true
  }

  /** A connection that waited may have been closed just as it was used: that is no failure yet. */
  #tryAgain(failed: SmtpConnection): boolean {
    const isRace = failed.isReused && !failed.hasAnswered && !this.#wasRetried
    if (!isRace || this.#stage === 'message' || this.#stage === 'verdict') return false
    this.#wasRetried = true
    const fresh = this.#start.pool.leaseFresh(failed.plan, this)
    if (fresh === undefined) return false
    this.#connection = fresh
    this.#begin(fresh)
    for (const { addresses } of this.#asked)
      for (const address of addresses) fresh.recipient(address)
    if (this.#isDataSent) fresh.data()
    return true
  }

  #fail(backend: string, answer: Reply): void {
    this.#failed = { backend, answer }
    this.#isDataSent = false
    if (this.accepted > 0) this.#broken = answer
    const stage = this.#stage
    this.#answerAsked(answer)
    if (stage === 'message' || stage === 'verdict') {
      this.#stage = 'over'
      this.#start.owner.messageAnswered(answer)
      this.#start.owner.settled()
    } else this.#askWaiting()
  }

  #answerAsked(answer: Reply): void {
    const asked = this.#asked
    this.#asked = []
    for (const { slot } of asked) this.#start.owner.recipientAnswered(slot, answer)
  }

  #answerAll(answer: Reply): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#answerAsked(answer)
    for (const { slot } of waiting) this.#start.owner.recipientAnswered(slot, answer)
  }

  #release(): void {
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined) this.#start.pool.release(connection)
  }

  #clean(raw: RawReply): Reply {
    const { names = [], plan } = this.#connection ?? {}
    return cleanReply(raw, { names, hostname: plan?.hostname ?? '' })
  }
}
