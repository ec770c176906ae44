/**
 * One back-end's part in a transaction: one envelope sender there, its recipients, its connection.
 * What happens to it is written into its targets; the transaction decides what that means.
 *
 * Own rules: every target that was asked gets an outcome. The end of data goes out only by `end`. After
 * the first octet of the message nothing is tried again.
 */
import type { RoomWaiter } from '../../backend/backend-place.ts'
import type { SmtpConnection, SmtpPlan } from '../../backend/smtp-connection.ts'
import type { SmtpUser } from '../../backend/smtp-user.ts'
import type { SmtpPool } from '../../backend/smtp-pool.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'
import type { Sender } from '../../protocol/smtp/capabilities.ts'
import { cleanReply } from '../../protocol/smtp/clean-reply.ts'
import type { RawReply } from '../../protocol/smtp/reply-reader.ts'
import { answerTo, beingMoved, isOutage, lost, noRoom, notTried } from './relay-answers.ts'
import { type Outcome, outcomeOf } from './relay-outcome.ts'
import type { RelayReport } from './relay-report.ts'
import type { Target } from './relay-target.ts'

export interface LegStart {
  readonly pool: SmtpPool
  readonly report: RelayReport
  readonly sender: Sender
  /** The transaction has another connection to this back-end. */
  readonly isFurther: boolean
}

export interface LegOwner {
  /** It is over before DATA was answered; `outcome` is that of all that is asked of it from now on. */
  legFailed(leg: RelayLeg, failure: BackEndFailure): Outcome
  targetAnswered(target: Target): void
  /** It has taken DATA, or is over. */
  legSettled(leg: RelayLeg): void
  settled(): void
}

const unknown: Outcome = { kind: 'unknown', reply: lost.broken }

type Stage = 'recipients' | 'data-asked' | 'message' | 'verdict' | 'over'

export class RelayLeg implements SmtpUser, RoomWaiter {
  stage: Stage = 'recipients'
  readonly plan: SmtpPlan
  readonly sender: Sender
  /** Targets that the back-end took, in the order in which it will answer for them. */
  readonly accepted: Target[] = []
  readonly #start: LegStart
  readonly #owner: LegOwner
  #asked: Target[] = []
  #connection: SmtpConnection | undefined
  #leaveQueue: (() => void) | undefined
  #readyBy: number | undefined
  #isDataWanted = false
  #wasRetried = false
  #isSound = false
  /** What all hear who are asked for after it has failed. */
  #lost: Outcome | undefined

  constructor(plan: SmtpPlan, start: LegStart, owner: LegOwner) {
    this.plan = plan
    this.sender = start.sender
    this.#start = start
    this.#owner = owner
  }

  get isBlocked(): boolean {
    return this.#connection?.isBlocked === true
  }

  /** It takes the message, or has failed to. */
  get isSettled(): boolean {
    return this.stage === 'message' || this.stage === 'over'
  }

  /** May give two answers to one message. */
  get mayDiffer(): boolean {
    return this.plan.protocol === 'lmtp' && this.accepted.length > 1
  }

  ask(target: Target): void {
    if (this.#lost !== undefined) {
      target.outcome = this.#lost
      this.#owner.targetAnswered(target)
      return
    }
    this.#asked.push(target)
    if (this.#connection !== undefined)
      this.#connection.recipient(target.address, target.parameters)
    else if (this.#leaveQueue === undefined) this.#open()
  }

  /**
   * Nothing more is asked. Told by `legSettled`. DATA goes out when a recipient was accepted; or
   * `ahead`, with the recipients and before their answers, where the back-end allows it.
   */
  data(ahead: boolean): void {
    this.#isDataWanted = true
    if (ahead && this.stage === 'recipients' && this.#asked.length > 0) this.#sendData()
    else this.#proceed()
  }

  /** From here on another back-end waits for this one, or it for others. */
  limitStall(stallMs: number): void {
    if (this.#connection === undefined) return
    this.#connection.stallMs = Math.min(stallMs, this.plan.dataTimeoutMs)
  }

  write(octets: Buffer | string): void {
    if (this.stage === 'message') this.#connection?.write(octets)
  }

  flush(): void {
    this.#connection?.flush()
  }

  /** The message is complete. Told by `legSettled`. */
  end(): void {
    if (this.stage !== 'message') return
    this.stage = 'verdict'
    this.#connection?.endOfData()
  }

  /** Ends without a word to anybody; the back-end sees no end of data. */
  drop(): void {
    this.stage = 'over'
    this.#leaveQueue?.()
    this.#leaveQueue = undefined
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined) this.#start.pool.release(connection)
  }

  roomMade(): void {
    this.#leaveQueue = undefined
    this.#open()
    this.#owner.settled()
  }

  waitedInVain(): void {
    this.#leaveQueue = undefined
    this.#fail(noRoom)
    this.#owner.settled()
  }

  connectionReady(): void {}

  recipientAnswered(raw: RawReply): void {
    const target = this.#asked.shift()
    if (target === undefined) return
    if (!this.#isSound) this.#start.pool.succeeded(this.plan)
    this.#isSound = true
    target.outcome = this.#outcomeOf(raw)
    if (target.outcome.kind === 'accepted') this.accepted.push(target)
    this.#owner.targetAnswered(target)
    this.#proceed()
  }

  dataAnswered(raw: RawReply): void {
    if (this.stage !== 'data-asked') return
    if (raw.code === 354) this.stage = 'message'
    else {
      const outcome = this.#outcomeOf(raw)
      for (const target of this.accepted) target.outcome = outcome
      this.drop()
    }
    this.#owner.legSettled(this)
  }

  messageAnswered(raws: readonly RawReply[]): void {
    if (this.stage !== 'verdict') return
    this.#judge(raws, unknown)
    // First, so that what the client has pipelined finds it free.
    this.drop()
    this.#owner.legSettled(this)
  }

  connectionFailed(failure: BackEndFailure): void {
    const connection = this.#connection
    if (connection === undefined || this.#tryAgain(connection)) return
    if (this.stage === 'verdict') {
      this.#judge(knownOf(connection), failure.isShutdown ? outcomeOf(answerTo(failure)) : unknown)
    }
    this.#fail(failure)
  }

  /** Leaves the back-end now, as if it had gone. */
  leave(): void {
    if (this.stage === 'over') return
    if (this.stage === 'verdict') this.#judge(knownOf(this.#connection), unknown)
    this.#fail(beingMoved)
  }

  lateVerdict(raws: readonly RawReply[], waitedMs: number): void {
    this.#start.report.late(this.plan.backend, raws, waitedMs)
  }

  drained(): void {
    this.#owner.settled()
  }

  settled(): void {
    this.#owner.settled()
  }

  #open(): void {
    const { pool, isFurther } = this.#start
    // Who waits for room has so much less time left for a connection.
    this.#readyBy ??= performance.now() + this.plan.readyTimeoutMs
    const leased = pool.lease(this.plan, this, { isFurther, readyBy: this.#readyBy })
    if (leased === 'full') this.#leaveQueue = pool.awaitRoom(this.plan, this)
    else if (leased === 'spared') this.#fail(notTried)
    else this.#begin(leased)
  }

  #begin(connection: SmtpConnection): void {
    this.#connection = connection
    connection.begin(this.sender)
    for (const { address, parameters } of this.#asked) connection.recipient(address, parameters)
    if (this.stage === 'data-asked') connection.data()
  }

  #proceed(): void {
    if (!this.#isDataWanted || this.stage !== 'recipients') return
    if (this.accepted.length > 0) this.#sendData()
    else if (this.#asked.length === 0) {
      this.drop()
      this.#owner.legSettled(this)
    }
  }

  #sendData(): void {
    this.stage = 'data-asked'
    this.#connection?.data()
  }

  /** A connection that waited may have been closed just as it was used: that is no failure yet. */
  #tryAgain(failed: SmtpConnection): boolean {
    const isRace = failed.isReused && !failed.hasAnswered && !this.#wasRetried
    if (!isRace || this.stage === 'message' || this.stage === 'verdict') return false
    this.#wasRetried = true
    this.#begin(this.#start.pool.leaseFresh(this.plan, this))
    return true
  }

  /** What each accepted target hears; `rest` is for those that were not answered. */
  #judge(raws: readonly RawReply[], rest: Outcome): void {
    const isLmtp = this.plan.protocol === 'lmtp'
    for (const [index, target] of this.accepted.entries()) {
      const raw = raws[isLmtp ? index : 0]
      target.outcome = raw === undefined ? rest : this.#outcomeOf(raw)
    }
  }

  #fail(failure: BackEndFailure): void {
    const { stage } = this
    this.drop()
    if (failure !== beingMoved) this.#start.report.backendFailed(this.plan.backend, failure)
    if (isOutage(failure)) this.#start.pool.failed(this.plan, this.#start.report.client)
    if (stage === 'message') {
      const outcome = outcomeOf(answerTo(failure))
      for (const target of this.accepted) target.outcome = outcome
    } else if (stage !== 'verdict') {
      const outcome = this.#owner.legFailed(this, failure)
      this.#lost = outcome
      for (const target of this.accepted) target.outcome = outcome
      const asked = this.#asked
      this.#asked = []
      for (const target of asked) target.outcome = outcome
      for (const target of asked) this.#owner.targetAnswered(target)
    }
    this.#owner.legSettled(this)
  }

  #outcomeOf(raw: RawReply): Outcome {
    const names = this.#connection?.names ?? []
    return outcomeOf(cleanReply(raw, { names, hostname: this.plan.hostname }))
  }
}

/** By LMTP some recipients may have been answered for. */
function knownOf(connection: SmtpConnection | undefined): readonly RawReply[] {
  return connection?.plan.protocol === 'lmtp' ? connection.verdicts : []
}
