/**
 * Who gets a message: every recipient of the client comes to one or more targets, every target is asked
 * of a leg, and when all targets of a recipient are known it is answered, once.
 *
 * An address that is met twice is asked and delivered once. Where the spool cannot make up for what one
 * back-end does not take, or the policy is `split`, the first recipient decides which back-ends there
 * are; another one that needs more has to come in a transaction of its own.
 */
import { limits } from '../../base/limit.ts'
import { classOf, type Reply } from '../../mail/reply.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'
import { withPath } from '../../protocol/smtp/capabilities.ts'
import type { Slot } from '../../protocol/smtp/outbox.ts'
import type { RcptParameters } from '../../protocol/smtp/parameters.ts'
import type { Freeze } from '../freezes.ts'
import { answerTo, frozen, noRecipients, tooMany, willKeep } from './relay-answers.ts'
import type { Delivery, Member, TransactionStart } from './relay-delivery.ts'
import { expansionOf, parametersFor } from './relay-expansion.ts'
import { type LegOwner, RelayLeg } from './relay-leg.ts'
import { type Outcome, firstOf, outcomeOf } from './relay-outcome.ts'
import { askedAgain, isUnderWay, type Recipient, type Target } from './relay-target.ts'
import { outcomesOf } from './relay-verdict.ts'

interface Waiting {
  readonly slot: Slot
  readonly order: number
  readonly delivery: Delivery
}

interface TargetStart {
  /** The envelope sender. */
  readonly path: string
  readonly parameters: RcptParameters
}

export interface EnvelopeOwner {
  /** A leg has taken DATA or is over. */
  legSettled(leg: RelayLeg): void
  /** A recipient was answered. */
  envelopeChanged(): void
  settled(): void
}

export class RelayEnvelope implements LegOwner {
  legs: RelayLeg[] = []
  /** Answers all that is still asked, after accepted recipients were lost with their connection. */
  broken: Reply | undefined
  /** Something may have to be told of an alias that was accepted. */
  hasExpansion = false
  readonly #start: TransactionStart
  readonly #owner: EnvelopeOwner
  /** What is left over of a message can be kept. */
  readonly #canKeep: boolean
  readonly #isSplit: boolean
  #targets = new Map<string, Target>()
  #accepted: Recipient[] = []
  /** Recipients that the client has asked for so far. */
  #asked = 0
  #waiting: Waiting[] = []
  #isPlacing = false
  /** Recipients that are asked about. */
  #open = 0
  /** One of those accepted is an alias with several members. */
  #hasAlias = false
  /** A back-end that failed in this transaction is not tried again in it. */
  readonly #failed = new Map<string, Outcome>()
  #isOver = false

  constructor(start: TransactionStart, owner: EnvelopeOwner, canKeep: boolean) {
    this.#start = start
    this.#owner = owner
    this.#canKeep = canKeep
    this.#isSplit = start.relay.fanOut === 'split' || !canKeep
  }

  /** Recipients of the client that were accepted. */
  get accepted(): number {
    return this.#accepted.length
  }

  /** Those, in the order asked; in that order a client takes the answers to an LMTP message. */
  get recipients(): Recipient[] {
    return this.#accepted.toSorted((one, other) => one.order - other.order)
  }

  /** Every recipient so far was answered. */
  get isSettled(): boolean {
    return this.#open === 0 && this.#waiting.length === 0
  }

  /** Every recipient so far is asked about or was answered. */
  get isPlaced(): boolean {
    return this.#waiting.length === 0
  }

  /** Those that count for what becomes of the message, in the order of the client. */
  get ours(): Target[] {
    return [...this.#targets.values()].filter(({ isOurs }) => isOurs)
  }

  get liveLegs(): RelayLeg[] {
    return this.legs.filter(({ stage }) => stage !== 'over')
  }

  add(slot: Slot, delivery: Delivery): void {
    this.#waiting.push({ slot, order: this.#asked++, delivery })
    this.#placeWaiting()
  }

  /** All back-ends are left; who was still asked about is answered with `answer`. */
  abandon(answer: Reply): void {
    this.#isOver = true
    this.dropLegs()
    const slots = new Set<Slot>()
    for (const { waiting } of this.#targets.values()) {
      for (const { slot } of waiting) slots.add(slot)
    }
    for (const { slot } of this.#waiting) slots.add(slot)
    this.#waiting = []
    this.#open = 0
    for (const slot of slots) this.#start.owner.recipientAnswered(slot, answer)
  }

  /** Those by which something may yet come into that mailbox. */
  legsFor(freeze: Freeze): RelayLeg[] {
    const concerned = [...this.#targets.values()].filter((target) => {
      return isUnderWay(target) && freeze.coversMail(target.leg.plan.backend, target)
    })
    return [...new Set(concerned.map(({ leg }) => leg))]
  }

  dropLegs(): void {
    for (const leg of this.legs) leg.drop()
  }

  legFailed(leg: RelayLeg, failure: BackEndFailure): Outcome {
    const isKept = this.#canKeep && this.#start.relay.onBackendDown === 'spool'
    const reply = this.#canKeep ? answerTo(failure) : this.#start.spool.answerTo(failure)
    const outcome: Outcome = isKept ? { kind: 'held', reply } : outcomeOf(reply)
    this.#failed.set(leg.plan.backend, outcome)
    if (!this.#canKeep && leg.accepted.some(({ isOurs }) => isOurs)) this.broken ??= reply
    return outcome
  }

  targetAnswered(target: Target): void {
    const { waiting } = target
    target.waiting = []
    for (const recipient of waiting) {
      recipient.open--
      if (recipient.open === 0) this.#answer(recipient)
    }
  }

  legSettled(leg: RelayLeg): void {
    this.#owner.legSettled(leg)
  }

  settled(): void {
    this.#owner.settled()
  }

  get #canReport(): boolean {
    return this.#canKeep && this.#start.canTell()
  }

  #placeWaiting(): void {
    if (this.#isPlacing) return
    this.#isPlacing = true
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const hopeless = this.broken ?? (this.#fits(next.delivery) ? undefined : tooMany)
      if (hopeless === tooMany && this.accepted === 0) {
        // Who is asked about may yet be refused, and then this one decides.
        if (this.#open > 0) break
        this.#beginAnew()
        continue
      }
      this.#waiting.shift()
      if (hopeless !== undefined) this.#start.owner.recipientAnswered(next.slot, hopeless)
      else if (this.#targets.size + next.delivery.members.length <= limits.deliveriesPerMessage) {
        this.#place(next)
      } else this.#start.owner.recipientAnswered(next.slot, tooMany)
    }
    this.#isPlacing = false
    this.#owner.envelopeChanged()
  }

  #fits({ members, owner }: Delivery): boolean {
    if (!this.#isSplit || this.legs.length === 0) return true
    // Its members could not be made up for one by one.
    if (!this.#canKeep && (this.#hasAlias || members.length > 1)) return false
    const path = this.#senderFor(owner)
    return members.every(({ plan }) => this.#legAt(plan.backend, path) !== undefined)
  }

  #beginAnew(): void {
    this.dropLegs()
    this.legs = []
    this.#targets = new Map()
    this.#hasAlias = false
  }

  #place({ slot, order, delivery }: Waiting): void {
    const { members, owner } = delivery
    const path = this.#senderFor(owner)
    this.#open++
    this.#hasAlias ||= members.length > 1
    const wished = expansionOf(delivery)
    const expansion = wished !== undefined && this.#canReport ? wished : undefined
    const canReport = members.length > 1 && this.#canReport
    const recipient: Recipient = { slot, order, targets: [], expansion, open: 1 }
    const asked: Target[] = []
    for (const [index, member] of members.entries()) {
      const parameters = parametersFor(delivery, index, canReport)
      const target = this.#targetFor(member, { path, parameters })
      recipient.targets.push(target)
      if (target.outcome !== undefined) continue
      recipient.open++
      if (target.waiting.length === 0) asked.push(target)
      target.waiting.push(recipient)
    }
    // Answers may come at once, so that all must be in its place before.
    for (const target of asked) if (target.outcome === undefined) target.leg.ask(target)
    recipient.open--
    if (recipient.open === 0) this.#answer(recipient)
  }

  #targetFor(member: Member, { path, parameters }: TargetStart): Target {
    const { plan, address, login, recipient, key } = member
    const place = `${plan.backend} ${key}`
    const outcome = this.#frozen(member) ?? this.#failed.get(plan.backend)
    const known = this.#targets.get(place)
    if (known !== undefined) return askedAgain(known, { path, parameters, outcome })
    const leg = this.#legAt(plan.backend, path) ?? this.#newLeg(plan, path)
    const asked = { address, login, recipient, parameters, leg, outcome }
    const target: Target = { ...asked, isOurs: false, waiting: [] }
    this.#targets.set(place, target)
    return target
  }

  #frozen(member: Member): Outcome | undefined {
    if (this.#start.freezes.forMail(member.plan.backend, member) === undefined) return undefined
    this.#start.report.refuse('move_freeze')
    return outcomeOf(frozen)
  }

  #legAt(backend: string, path: string): RelayLeg | undefined {
    return this.legs.find(({ plan, sender }) => plan.backend === backend && sender.path === path)
  }

  #newLeg(plan: Member['plan'], path: string): RelayLeg {
    const { pool, report, sender } = this.#start
    const isFurther = this.legs.some((leg) => leg.plan.backend === plan.backend)
    const start = { pool, report, sender: withPath(sender, path), isFurther }
    const leg = new RelayLeg(plan, start, this)
    this.legs.push(leg)
    return leg
  }

  /** A notification keeps its null sender (RFC 5321 4.5.5), so that an owner gets no loops. */
  #senderFor(owner: string | undefined): string {
    return this.#start.sender.path === '' ? '' : (owner ?? this.#start.sender.path)
  }

  #answer(recipient: Recipient): void {
    if (this.#isOver) return
    const { slot, targets } = recipient
    this.#open--
    const answer = this.#replyTo(outcomesOf(targets))
    if (classOf(answer) === 'success') {
      this.#accepted.push(recipient)
      this.hasExpansion ||= recipient.expansion !== undefined
      for (const target of targets) this.#count(target)
    }
    this.#start.owner.recipientAnswered(slot, answer)
    this.#placeWaiting()
  }

  /** An alias is accepted when one of its members is, if those that must wait are not forgotten. */
  #replyTo(outcomes: readonly Outcome[]): Reply {
    const isForgotten = !this.#canKeep && outcomes.length > 1
    const order = isForgotten
      ? (['deferred', 'accepted', 'refused'] as const)
      : (['accepted', 'held', 'deferred', 'refused'] as const)
    const found = firstOf(outcomes, order)
    if (found?.kind === 'held') return willKeep
    // It is alone in its transaction: what its other members have heard is taken back.
    if (isForgotten && found?.kind === 'deferred') this.#beginAnew()
    return found?.reply ?? noRecipients
  }

  /** A member refused at RCPT is reported to the sender where there is a spool to do it. */
  #count(target: Target): void {
    const { outcome, leg } = target
    if (outcome?.kind !== 'refused' || this.#canKeep) target.isOurs = true
    else this.#start.report.unreported(leg.plan.backend, outcome.reply.code)
  }
}
