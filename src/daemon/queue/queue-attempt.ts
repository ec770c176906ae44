/**
 * One attempt to be done with a message of the spool: deliver to every back-end that somebody of it is
 * owed at, write down what was said before anything is forgotten, tell the sender what there is to
 * tell, and let the message go when nobody is owed anything.
 */
import type { Clock } from '../../base/clock.ts'
import { messageOf } from '../../base/error.ts'
import type { Log } from '../../base/log.ts'
import type { SmtpPlan } from '../../backend/smtp-connection.ts'
import type { SmtpPool } from '../../backend/smtp-pool.ts'
import type { Reply } from '../../mail/reply.ts'
import type { Destination } from '../../mail/route.ts'
import type { FileSpoolWriter } from '../../spool/file-spool-writer.ts'
import type { JournalRecord, LostReason, Outcome } from '../../spool/journal.ts'
import type { MessageFile } from '../../spool/message-file.ts'
import type { RecipientProgress } from '../../spool/progress.ts'
import { isSettled } from '../../spool/report-policy.ts'
import { isGivenUp, type Standing } from '../../spool/schedule.ts'
import type { SpooledRecipient } from '../../spool/spooled-message.ts'
import { type DeliveryTarget, QueueDelivery } from './queue-delivery.ts'
import type { FreezeTable } from '../freezes.ts'
import type { QueueReports } from './queue-reports.ts'
import { QueueTelling, writeDown } from './queue-telling.ts'
import { membersOf, routeAgain } from './queue-route.ts'
import type { Generation } from '../runtime.ts'
import { canBeTold } from '../sender-reach.ts'

export interface AttemptTools {
  readonly current: Generation
  readonly log: Log
  readonly clock: Clock
  readonly pool: SmtpPool
  readonly writer: FileSpoolWriter
  readonly reports: QueueReports
  /** Deliveries under way, to be ended with the process. */
  readonly deliveries: Set<QueueDelivery>
  readonly freezes: FreezeTable
  retry(id: string): void
  takeSlot(backend: string): boolean
  freeSlot(backend: string): void
  reached(backend: string): void
}

export type AttemptEnd =
  /** Nobody is owed anything. `aside`: it is to be kept, since nobody could be told of a failure. */
  | { readonly kind: 'settled'; readonly aside: LostReason | undefined }
  | {
      readonly kind: 'waiting'
      /** An attempt failed, so that the next wait is longer; else there was no room or no leave yet. */
      readonly hasTried: boolean
      /** Back-ends that had no slot free: to be tried as soon as one has. */
      readonly skipped: readonly string[]
      readonly unreachable: readonly string[]
    }

interface Group {
  readonly plan: SmtpPlan
  readonly targets: DeliveryTarget[]
}

/** RFC 5321 4.5.3.1.8: what every server takes. */
const recipientsAtOnce = 100

export class QueueAttempt {
  readonly #file: MessageFile
  readonly #ageMs: number
  readonly #tools: AttemptTools
  readonly #telling: QueueTelling
  readonly #skipped = new Set<string>()
  readonly #unreachable = new Set<string>()
  #hasTried = false

  /** `ageMs`: how long ago the message came. */
  constructor(file: MessageFile, ageMs: number, tools: AttemptTools) {
    this.#file = file
    this.#ageMs = ageMs
    this.#tools = tools
    this.#telling = new QueueTelling(file, tools)
  }

  /**
   * `only`: at these back-ends. Throws UnusableFile, and what the disk does where an outcome cannot be
   * written down.
   */
  async run(only?: readonly string[]): Promise<AttemptEnd> {
    if (this.#owed.length > 0) await this.#deliver(only)
    await this.#giveUp()
    const isComplete = await this.#telling.run(this.#standing)
    if (isSettled(this.#file.progress)) {
      return { kind: 'settled', aside: this.#file.progress.lost }
    }
    return {
      kind: 'waiting',
      hasTried: this.#hasTried && isComplete,
      skipped: [...this.#skipped],
      unreachable: [...this.#unreachable],
    }
  }

  get #owed(): RecipientProgress[] {
    return this.#file.progress.recipients.filter(({ result }) => result === 'owed')
  }

  get #standing(): Standing {
    const attempts = this.#file.progress.attempts + (this.#hasTried ? 1 : 0)
    return { ageMs: this.#ageMs, attempts }
  }

  async #deliver(only: readonly string[] | undefined): Promise<void> {
    await this.#write({ do: 'attempt', at: this.#tools.clock.wall() }, 'lazy')
    const groups = new Map<string, Group>()
    const decided: Outcome[] = []
    for (const one of this.#owed) await this.#place(one, groups, decided)
    await this.#record(decided)
    const sending = [...groups.values()]
      .filter(({ plan }) => only === undefined || only.includes(plan.backend))
      .map((group) => this.#send(group))
    const ends = await Promise.allSettled(sending)
    for (const end of ends) if (end.status === 'rejected') throw end.reason
  }

  async #place(
    { index, recipient }: RecipientProgress,
    groups: Map<string, Group>,
    decided: Outcome[],
  ): Promise<void> {
    const { smtpUtf8 } = this.#file.head.envelope
    const route = routeAgain(this.#tools.current, recipient, smtpUtf8)
    switch (route.kind) {
      case 'deliver': {
        const { backend } = route.plan
        const group = groups.get(backend) ?? { plan: route.plan, targets: [] }
        groups.set(backend, group)
        const { address, login } = route
        const asked = { recipient: recipient.address, parameters: recipient }
        group.targets.push({ index, address, login, ...asked })
        break
      }
      case 'expand':
        await this.#expand(index, recipient, route.destinations)
        break
      case 'failed':
        decided.push(answered(index, route.reply))
        break
      case 'deferred':
        this.#hasTried = true
        decided.push(said('deferred', [index], '', route.reason))
        break
      default:
        route satisfies never
    }
  }

  /** The recipients it leads to now are a message of their own, so that each is done with by itself. */
  async #expand(
    index: number,
    recipient: SpooledRecipient,
    destinations: readonly Destination[],
  ): Promise<void> {
    const { envelope } = this.#file.head
    const canTell = canBeTold(envelope.sender, this.#tools.current.config)
    const recipients = membersOf(recipient, destinations, canTell)
    const content = await this.#file.asContent()
    try {
      await this.#tools.writer.accept({ ...envelope, recipients }, content)
    } catch (error) {
      await this.#record([said('deferred', [index], '', messageOf(error))])
      return
    }
    const text = `sent on to ${destinations.length} addresses`
    await this.#record([said('delivered', [index], '2.1.5', text)])
    // Else its sender hears of it, as of every success that was asked for.
    if (canTell) return
    const record = { do: 'reported', of: 'success', recipients: [index] } as const
    await this.#write({ ...record, notification: undefined }, 'durable')
  }

  async #send({ plan, targets }: Group): Promise<void> {
    const { backend } = plan
    if (!this.#tools.takeSlot(backend)) {
      this.#skipped.add(backend)
      return
    }
    try {
      for (let at = 0; at < targets.length; at += recipientsAtOnce) {
        await this.#sendTo(plan, targets.slice(at, at + recipientsAtOnce))
      }
    } finally {
      this.#tools.freeSlot(backend)
    }
  }

  async #sendTo(plan: SmtpPlan, all: readonly DeliveryTarget[]): Promise<void> {
    // In the turn in which the delivery begins: what is frozen later finds it.
    const frozen = all.filter((target) => this.#isFrozen(plan, target))
    const targets = all.filter((target) => !frozen.includes(target))
    if (frozen.length > 0) {
      const indices = frozen.map(({ index }) => index)
      await this.#record([said('deferred', indices, '4.2.1', 'its mailbox is being moved')])
      if (targets.length > 0) await this.#sendTo(plan, targets)
      return
    }
    this.#hasTried = true
    const { envelope } = this.#file.head
    const { log, pool, deliveries } = this.#tools
    const { backend } = plan
    const { body, smtpUtf8, ret, envelopeId, service, session, peer: client } = envelope
    const peer = { service, session, peer: client } as const
    const sender = {
      path: envelope.sender,
      sizeBytes: this.#file.contentBytes,
      body,
      smtpUtf8,
      ret,
      envelopeId,
    }
    const told = { pool, plan, sender, targets, client }
    const delivery = new QueueDelivery({
      ...told,
      content: () => this.#file.content(),
      reached: () => this.#tools.reached(backend),
      failed: ({ step, reason, detail }) =>
        log('backend', { ...peer, backend, step, reason, detail }),
      uncertain: () => log('uncertain', { ...peer, backend }),
      late: (code, waitedMs) =>
        log('verdict.late', { ...peer, backend, code, waited_ms: Math.round(waitedMs) }),
    })
    deliveries.add(delivery)
    try {
      await this.#record(await delivery.run())
    } finally {
      deliveries.delete(delivery)
    }
  }

  #isFrozen({ backend }: SmtpPlan, target: DeliveryTarget): boolean {
    const freeze = this.#tools.freezes.forMail(backend, target)
    freeze?.onThaw(() => this.#tools.retry(this.#file.head.id))
    return freeze !== undefined
  }

  /** Writes outcomes down; final ones are on the medium before this returns. */
  async #record(outcomes: readonly Outcome[]): Promise<void> {
    if (outcomes.length === 0) return
    const { id, envelope } = this.#file.head
    for (const { backend, recipients, result, code, text } of outcomes) {
      if (result === 'removed') continue
      if (result === 'deferred' && code === undefined && backend !== undefined) {
        this.#unreachable.add(backend)
      }
      this.#tools.log('delivery', {
        id,
        session: envelope.session,
        ...(backend === undefined ? {} : { backend }),
        recipients: recipients.length,
        result,
        ...(code === undefined ? {} : { code }),
        detail: text,
      })
    }
    const isFinal = outcomes.some(({ result }) => result !== 'deferred')
    const at = this.#tools.clock.wall()
    await this.#write({ do: 'outcomes', at, outcomes }, isFinal ? 'durable' : 'lazy')
  }

  #write(record: JournalRecord, how: 'durable' | 'lazy'): Promise<void> {
    return writeDown(this.#file, record, how)
  }

  /** When patience is at its end, everybody who is still owed has failed. */
  async #giveUp(): Promise<void> {
    const { spool } = this.#tools.current.config
    if (!isGivenUp(this.#standing, spool)) return
    const days = spool.maxAgeMs / 86_400_000
    const time = days >= 1 ? `${Math.round(days)} days` : `${Math.round(days * 24)} hours`
    const outcomes = this.#owed.map(({ index, code, status, text }) => {
      const last = code === undefined ? '' : `; the last answer was ${code} ${status} ${text}`
      return said('failed', [index], '4.4.7', `it could not be delivered within ${time}${last}`)
    })
    await this.#record(outcomes)
  }
}

function said(
  result: Outcome['result'],
  recipients: readonly number[],
  status: string,
  text: string,
): Outcome {
  return { recipients, result, backend: undefined, code: undefined, status, text }
}

function answered(index: number, { code, status, lines }: Reply): Outcome {
  const result = code >= 500 ? 'failed' : 'deferred'
  return { recipients: [index], result, backend: undefined, code, status, text: lines.join(' ') }
}
