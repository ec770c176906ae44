/**
 * One message of the spool on its way to one back-end: one transaction, its content streamed from the
 * file no faster than the back-end takes it.
 *
 * Own rules: the end of data is sent only after all of the content was read and its sum held. What the
 * back-end did not answer stays owed. Whoever calls hears one outcome for each recipient, once.
 */
import type { RoomWaiter } from '../../backend/backend-place.ts'
import type { SmtpConnection, SmtpPlan } from '../../backend/smtp-connection.ts'
import type { SmtpUser } from '../../backend/smtp-user.ts'
import type { SmtpPool } from '../../backend/smtp-pool.ts'
import { classOf, type Reply } from '../../mail/reply.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'
import type { Sender } from '../../protocol/smtp/capabilities.ts'
import { cleanReply } from '../../protocol/smtp/clean-reply.ts'
import type { RcptParameters } from '../../protocol/smtp/parameters.ts'
import type { RawReply } from '../../protocol/smtp/reply-reader.ts'
import type { Outcome } from '../../spool/journal.ts'
import type { Freeze } from '../freezes.ts'
import { beingMoved, isBeforeReady, isOutage } from '../relay/relay-answers.ts'

export interface DeliveryTarget {
  /** In the envelope. */
  readonly index: number
  readonly address: string
  /** The name of its mailbox there. */
  readonly login: string
  /** What the map was asked for. */
  readonly recipient: string
  readonly parameters: RcptParameters
}

export interface DeliveryOptions {
  readonly pool: SmtpPool
  readonly plan: SmtpPlan
  readonly sender: Sender
  readonly targets: readonly DeliveryTarget[]
  /** Who brought the message: failures count against a back-end by client. */
  readonly client: string
  /** The content; ends with an exception where it is not what was written. */
  readonly content: () => AsyncIterable<Buffer>
  /** The back-end has greeted. */
  readonly reached: () => void
  readonly failed: (failure: BackEndFailure) => void
  /** Whether the back-end has the message cannot be known. */
  readonly uncertain: () => void
  /** It has answered after all; the worst code. */
  readonly late: (code: number, waitedMs: number) => void
}

type Stage = 'recipients' | 'data' | 'message' | 'verdict' | 'over'

const notTried = 'is not tried now, after several failures in a row'
const noRoom = 'has as many connections as are allowed'

export class QueueDelivery implements SmtpUser, RoomWaiter {
  readonly isUnhurried = true
  readonly #options: DeliveryOptions
  readonly #settled = Promise.withResolvers<readonly Outcome[]>()
  readonly #outcomes: Outcome[] = []
  #connection: SmtpConnection | undefined
  /** Recipients without an answer to RCPT, in the order asked. */
  #asked: DeliveryTarget[] = []
  #accepted: DeliveryTarget[] = []
  #stage: Stage = 'recipients'
  #wasRetried = false
  #resume: () => void = () => undefined
  #leaveQueue: (() => void) | undefined
  /** Who waits for room has so much less time left for a connection. */
  #readyBy: number | undefined

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /** Returns an outcome for every target. Throws what reading the content throws. */
  run(): Promise<readonly Outcome[]> {
    this.#open()
    return this.#settled.promise
  }

  /** Ends it now. */
  abort(why = 'delivery was stopped'): void {
    if (this.#stage === 'over') return
    this.#leaveQueue?.()
    this.#leaveQueue = undefined
    this.#connection?.destroy()
    this.#connection = undefined
    this.#lose(why)
  }

  /** Whether something of it may yet come into that mailbox. */
  concerns(freeze: Freeze): boolean {
    const { plan, targets } = this.#options
    return (
      this.#stage !== 'over' && targets.some((target) => freeze.coversMail(plan.backend, target))
    )
  }

  /** Leaves the back-end; one that has been sent the end of the message has its say first. */
  yieldTo(_freeze: Freeze, isLast: boolean): void {
    if (this.#stage !== 'verdict' || isLast) this.abort(beingMoved.detail)
  }

  roomMade(): void {
    this.#leaveQueue = undefined
    this.#open()
  }

  waitedInVain(): void {
    this.#leaveQueue = undefined
    this.#lose(`${this.#options.plan.backend} ${noRoom}`)
  }

  connectionReady(): void {
    const { pool, plan } = this.#options
    pool.succeeded(plan)
    this.#options.reached()
  }

  recipientAnswered(raw: RawReply): void {
    const target = this.#asked.shift()
    if (target === undefined) return
    const answer = this.#clean(raw)
    if (classOf(answer) === 'success') this.#accepted.push(target)
    else this.#decide([target], answer)
    if (this.#asked.length > 0) return
    if (this.#accepted.length === 0) this.#finish()
    else {
      this.#stage = 'data'
      this.#connection?.data()
    }
  }

  dataAnswered(raw: RawReply): void {
    if (raw.code !== 354) {
      this.#decide(this.#accepted, this.#clean(raw))
      this.#finish()
      return
    }
    this.#stage = 'message'
    void this.#stream()
  }

  messageAnswered(raws: readonly RawReply[]): void {
    const isLmtp = this.#options.plan.protocol === 'lmtp'
    for (const [at, target] of this.#accepted.entries()) {
      const raw = raws[isLmtp ? at : 0]
      if (raw !== undefined) this.#decide([target], this.#clean(raw))
    }
    this.#finish()
  }

  connectionFailed(failure: BackEndFailure): void {
    const failed = this.#connection
    this.#connection = undefined
    if (failed === undefined || this.#stage === 'over') return
    if (this.#tryAgain(failed)) return
    const { plan, pool, client } = this.#options
    this.#options.failed(failure)
    if (isOutage(failure)) pool.failed(plan, client)
    const what = isBeforeReady(failure) ? 'cannot be reached' : 'went away'
    this.#lose(`${plan.backend} ${what}: ${failure.detail}`, failure.isShutdown)
  }

  lateVerdict(raws: readonly RawReply[], waitedMs: number): void {
    this.#options.late(Math.max(...raws.map(({ code }) => code)), waitedMs)
  }

  drained(): void {
    this.#resume()
  }

  settled(): void {
    // Everything is done in the calls before.
  }

  #open(): void {
    const { pool, plan } = this.#options
    this.#readyBy ??= performance.now() + plan.readyTimeoutMs
    const leased = pool.lease(plan, this, { readyBy: this.#readyBy })
    if (leased === 'full') this.#leaveQueue = pool.awaitRoom(plan, this)
    else if (leased === 'spared') this.#lose(`${plan.backend} ${notTried}`)
    else this.#begin(leased)
  }

  #begin(connection: SmtpConnection): void {
    const { sender, targets } = this.#options
    this.#connection = connection
    this.#asked = [...targets]
    connection.begin(sender)
    for (const { address, parameters } of targets) connection.recipient(address, parameters)
    connection.flush()
  }

  /** A connection that waited may have been closed just as it was used: that is no failure yet. */
  #tryAgain(failed: SmtpConnection): boolean {
    if (!failed.isReused || failed.hasAnswered || this.#wasRetried) return false
    this.#wasRetried = true
    this.#begin(this.#options.pool.leaseFresh(this.#options.plan, this))
    return true
  }

  async #stream(): Promise<void> {
    try {
      for await (const piece of this.#options.content()) {
        const connection = this.#connection
        if (connection === undefined) return
        connection.write(piece)
        connection.flush()
        while (this.#connection?.isBlocked === true) await this.#untilDrained()
      }
    } catch (error) {
      this.#stage = 'over'
      // Without the end of data, so that the back-end forgets it.
      this.#connection?.destroy()
      this.#connection = undefined
      this.#settled.reject(error)
      return
    }
    if (this.#connection === undefined) return
    this.#stage = 'verdict'
    this.#connection.endOfData()
    this.#connection.flush()
  }

  #untilDrained(): Promise<void> {
    return new Promise((resolve) => {
      this.#resume = resolve
    })
  }

  /** What has no answer yet stays owed. */
  #lose(reason: string, isShutdown = false): void {
    const isUncertain = this.#stage === 'verdict' && !isShutdown
    if (isUncertain) this.#options.uncertain()
    const isDone = new Set(this.#outcomes.flatMap(({ recipients }) => recipients))
    const left = this.#options.targets.filter(({ index }) => !isDone.has(index))
    const text = isUncertain ? `${reason}; it may have the message already` : reason
    if (left.length > 0) {
      this.#outcomes.push({
        recipients: left.map(({ index }) => index),
        result: 'deferred',
        backend: this.#options.plan.backend,
        code: undefined,
        status: '',
        text,
      })
    }
    this.#finish()
  }

  #decide(targets: readonly DeliveryTarget[], answer: Reply): void {
    const results = { success: 'delivered', permanent: 'failed' } as const
    const kind = classOf(answer)
    this.#outcomes.push({
      recipients: targets.map(({ index }) => index),
      result: kind === 'success' || kind === 'permanent' ? results[kind] : 'deferred',
      backend: this.#options.plan.backend,
      code: answer.code,
      status: answer.status,
      text: answer.lines.join(' '),
      ...(kind === 'success' && this.#connection?.offersDsn === true ? { isToldThere: true } : {}),
    })
  }

  #finish(): void {
    if (this.#stage === 'over') return
    this.#stage = 'over'
    const connection = this.#connection
    this.#connection = undefined
    if (connection !== undefined) this.#options.pool.release(connection)
    this.#resume()
    this.#settled.resolve(this.#outcomes)
  }

  #clean(raw: RawReply): Reply {
    const { names = [] } = this.#connection ?? {}
    return cleanReply(raw, { names, hostname: this.#options.plan.hostname })
  }
}
