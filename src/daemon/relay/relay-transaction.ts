/**
 * One transaction of a client, from MAIL to the verdict, and the back-ends that get it: one leg for
 * each back-end and envelope sender there. The message goes to all legs at once, as fast as the slowest
 * takes it. What becomes of it is decided once, when every leg has answered (relay-outcome.ts).
 *
 * While more than one answer is possible and the spool is there, a copy is kept, so that what one
 * back-end does not take can be delivered later. Without one, a leg that is lost ends the transaction
 * for all before any of them has seen the end of data.
 *
 * Own rules: everything asked is answered, once. The end of data goes out only by `end`.
 */
import type { Reply } from '../../mail/reply.ts'
import type { Slot } from '../../protocol/smtp/outbox.ts'
import { goAhead, lost, noRecipients, queued } from './relay-answers.ts'
import type { Freeze } from '../freezes.ts'
import { MessageCopy } from './relay-copy.ts'
import type { Delivery, Kept, TransactionStart } from './relay-delivery.ts'
import { type EnvelopeOwner, RelayEnvelope } from './relay-envelope.ts'
import { type Expansion, reachedBy } from './relay-expansion.ts'
import { firstOf, type Outcome } from './relay-outcome.ts'
import type { RelayLeg } from './relay-leg.ts'
import type { Target } from './relay-target.ts'
import { type Judged, judgeAll, outcomesOf, refusalOf, uncertainOf } from './relay-verdict.ts'
import { envelopesFor, keptOf } from './relay-spool.ts'

type Stage = 'recipients' | 'data-asked' | 'message' | 'verdict' | 'over'

export class RelayTransaction implements EnvelopeOwner {
  readonly #start: TransactionStart
  readonly #envelope: RelayEnvelope
  readonly #canKeep: boolean
  #stage: Stage = 'recipients'
  #isDataPassedOn = false
  /** The legs that take the message. */
  #open: RelayLeg[] = []
  /** Who counts, once no more recipients can come. */
  #ours: Target[] = []
  #copy: MessageCopy | undefined
  /** Something of the message may be left over when all have answered. */
  #mayBeLeft = false
  #isTraced = false
  #isConcluding = false

  constructor(start: TransactionStart) {
    this.#start = start
    this.#canKeep = start.spool.isUsable
    this.#envelope = new RelayEnvelope(start, this, this.#canKeep)
  }

  /** Recipients of the client that were accepted. */
  get accepted(): number {
    return this.#envelope.accepted
  }

  /** Of the first recipient. */
  get backend(): string | undefined {
    return this.#envelope.legs[0]?.plan.backend
  }

  /** The slowest leg decides, or the disk. */
  get isBlocked(): boolean {
    for (const leg of this.#open) if (leg.isBlocked) return true
    return this.#copy?.isBlocked === true
  }

  get isOver(): boolean {
    return this.#stage === 'over'
  }

  get awaitsVerdict(): boolean {
    return this.#stage === 'verdict'
  }

  /** Answered by `recipientAnswered`. */
  recipient(slot: Slot, delivery: Delivery): void {
    this.#envelope.add(slot, delivery)
  }

  /** Answered by `dataAnswered`. */
  data(): void {
    this.#stage = 'data-asked'
    this.envelopeChanged()
  }

  write(parts: readonly Buffer[]): void {
    this.#writeTrace()
    for (const part of parts) {
      for (const leg of this.#open) leg.write(part)
      this.#copy?.add(part)
    }
  }

  /** The message is complete; answered by `messageAnswered`. */
  end(): void {
    if (this.#stage !== 'message') return
    this.#writeTrace()
    this.#stage = 'verdict'
    for (const leg of this.#open) leg.end()
    this.#conclude()
  }

  /** Whether something of it may yet come into that mailbox. */
  concerns(freeze: Freeze): boolean {
    return this.#envelope.legsFor(freeze).length > 0
  }

  /**
   * Leaves the back-ends that have the mailbox; one that has been sent the end of the message has its
   * say first, unless it `isLast`.
   */
  yieldTo(freeze: Freeze, isLast: boolean): void {
    for (const leg of this.#envelope.legsFor(freeze)) {
      if (leg.stage !== 'verdict' || isLast) leg.leave()
    }
  }

  /** Sends what was written. */
  flush(): void {
    for (const leg of this.#envelope.legs) leg.flush()
  }

  /** Forgets everything; what was asked is answered. No back-end sees an end of data. */
  abort(): void {
    if (this.#stage === 'over') return
    this.#finish()
    this.#envelope.abandon(lost.broken)
  }

  envelopeChanged(): void {
    if (this.#stage !== 'data-asked') return
    const { isSettled, isPlaced, legs } = this.#envelope
    // Of several, those that took no recipient do not hear of it.
    const isAhead = isPlaced && legs.length === 1
    if (!this.#isDataPassedOn && (isSettled || isAhead)) {
      this.#isDataPassedOn = true
      for (const leg of this.#envelope.liveLegs) leg.data(isAhead)
    }
    this.#openMessage()
  }

  legSettled(leg: RelayLeg): void {
    if (this.#stage === 'data-asked') this.#openMessage()
    else if (this.#stage === 'message' && leg.stage === 'over') this.#goOnWithout(leg)
    else if (this.#stage === 'verdict') this.#conclude()
  }

  settled(): void {
    this.#start.owner.settled()
  }

  /** Once every leg has answered DATA: the message may come, or it is known that nobody takes it. */
  #openMessage(): void {
    const { legs, broken } = this.#envelope
    const isKnown = this.#envelope.isSettled && legs.every(({ isSettled }) => isSettled)
    if (this.#stage !== 'data-asked' || !isKnown) return
    this.#open = this.#envelope.liveLegs
    this.#ours = this.#envelope.ours
    const outcomes = this.#outcomes()
    const isPromised = outcomes.some(({ kind }) => kind === 'held')
    const refusal =
      this.#open.length === 0 && !isPromised
        ? (refusalOf(outcomes) ?? noRecipients)
        : this.#canKeep
          ? undefined
          : firstOf(outcomes, ['deferred'])?.reply
    const answer = broken ?? refusal
    if (answer !== undefined) {
      this.#stage = 'recipients'
      this.#envelope.dropLegs()
      this.#start.owner.dataAnswered(answer)
      return
    }
    this.#stage = 'message'
    this.#prepareCopy(outcomes)
    this.#start.owner.dataAnswered(goAhead)
  }

  /** One back-end that gives one answer needs no copy: its answer is the client's. */
  #prepareCopy(outcomes: readonly Outcome[]): void {
    const { relay, spool } = this.#start
    const isShared = this.#open.length > 1
    if (isShared) for (const leg of this.#open) leg.limitStall(relay.stallMs)
    this.#mayBeLeft =
      isShared ||
      this.#open.some(({ mayDiffer }) => mayDiffer) ||
      outcomes.some(({ kind }) => kind !== 'accepted')
    if (!this.#canKeep || !(this.#mayBeLeft || this.#envelope.hasExpansion)) return
    this.#copy = new MessageCopy({
      openFile: () => spool.openFile(),
      stallMs: relay.stallMs,
      changed: () => this.#copyChanged(),
    })
  }

  #copyChanged(): void {
    const failure = this.#copy?.failure
    // After the end of data it is too late: the verdict will tell whether it was needed. So it will
    // where it is for a report alone.
    if (failure !== undefined && this.#stage === 'message' && this.#mayBeLeft) {
      this.#giveUp(this.#start.spool.failed(failure))
    }
    this.settled()
  }

  /** A leg was lost in the middle of the message: the others go on if it can be made up for. */
  #goOnWithout(leg: RelayLeg): void {
    this.#open = this.#open.filter((open) => open !== leg)
    const outcomes = this.#outcomes()
    const isWorthIt = this.#open.length > 0 || outcomes.some(({ kind }) => kind === 'held')
    if (isWorthIt && this.#copy !== undefined) return
    this.#giveUp(firstOf(outcomes, ['deferred', 'refused'])?.reply ?? lost.broken)
  }

  /** Before the end of data: nobody gets it, and the client keeps it. */
  #giveUp(answer: Reply): void {
    const fate = { backend: this.#backends(), kept: undefined }
    this.#finish()
    this.#envelope.dropLegs()
    this.#start.owner.messageAnswered([answer], fate)
  }

  #conclude(): void {
    if (this.#isConcluding || this.#open.some(({ stage }) => stage !== 'over')) return
    this.#isConcluding = true
    // By LMTP each recipient has a verdict of its own, by SMTP there is one for all.
    const shares = this.#start.forEach
      ? this.#envelope.recipients.map(({ targets }) => targets.filter(({ isOurs }) => isOurs))
      : [this.#ours]
    const judged = judgeAll(shares)
    const { hasExpansion } = this.#envelope
    const expansions = hasExpansion ? reachedBy(judged, this.#envelope.recipients) : []
    const isToKeep = expansions.length > 0 || judged.some((one) => one.isToKeep)
    // A host that keeps nothing: worst of the answers, so that nothing is lost unheard.
    if (this.#copy === undefined || !isToKeep) this.#tell(judged)
    else void this.#keep(this.#copy, judged, expansions)
  }

  async #keep(
    copy: MessageCopy,
    judged: readonly Judged[],
    expansions: readonly Expansion[],
  ): Promise<void> {
    const { spool, sender, report } = this.#start
    const left = new Set(judged.flatMap(({ isToKeep, targets }) => (isToKeep ? targets : [])))
    const isOwed = left.size > 0
    const envelopes = envelopesFor({ left, expansions, sender, origin: report.origin })
    // The disk may need it for longer than anybody waits.
    this.#copy = undefined
    const { heard, inTheEnd } = spool.accept(envelopes, isOwed ? copy.content() : copy.head())
    const { ids, trouble } = await heard
    const settled = inTheEnd.finally(() => copy.discard())
    if (isOwed && trouble !== undefined) void this.#awaitLate(settled)
    if (this.#stage === 'over') return
    const answer = trouble ?? queued(ids.join(','))
    this.#tell(
      judged.map((one) => (one.isToKeep ? { ...one, answer } : one)),
      isOwed && trouble === undefined ? keptOf(left, ids) : undefined,
    )
    this.settled()
  }

  /** What is in the spool although its sender was told otherwise is delivered from there too. */
  async #awaitLate(taken: Promise<readonly string[]>): Promise<void> {
    if ((await taken).length > 0) this.#start.report.uncertain('spool')
  }

  #tell(judged: readonly Judged[], kept?: Kept): void {
    const backend = this.#backends()
    for (const name of uncertainOf(judged)) this.#start.report.uncertain(name)
    this.#finish()
    const answers = judged.map(({ answer }) => answer)
    this.#start.owner.messageAnswered(answers, { backend, kept })
  }

  #outcomes(): Outcome[] {
    return outcomesOf(this.#ours)
  }

  #backends(): string {
    const { legs } = this.#envelope
    if (legs.length === 1) return legs[0]?.plan.backend ?? ''
    return [...new Set(legs.map(({ plan }) => plan.backend))].join(',')
  }

  #writeTrace(): void {
    if (this.#isTraced) return
    this.#isTraced = true
    const trace = Buffer.from(this.#start.trace(), 'latin1')
    for (const leg of this.#open) leg.write(trace)
    this.#copy?.add(trace)
  }

  #finish(): void {
    this.#stage = 'over'
    this.#copy?.discard()
  }
}
