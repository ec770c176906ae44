/**
 * The way of a message into the spool: whether there is one that takes something, and what is owed to
 * whom. After the spool was full or failed, nothing that might need it is begun for a while: messages
 * for one back-end go through, others are asked to come one by one. So it is while a disk hangs.
 */
import { join } from 'node:path'
import { MailmuxError, messageOf } from '../../base/error.ts'
import { waits } from '../../base/limit.ts'
import { printable } from '../../base/log.ts'
import type { Reply } from '../../mail/reply.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'
import type { Sender } from '../../protocol/smtp/capabilities.ts'
import { spoolFault } from '../../spool/spool-fault.ts'
import type {
  SpooledContent,
  SpooledEnvelope,
  SpooledRecipient,
  SpoolWriter,
} from '../../spool/spooled-message.ts'
import type { DiskFile } from '../../storage/disk.ts'
import { openUnnamedFile } from '../../storage/unnamed-file.ts'
import { answerTo, spoolTrouble } from './relay-answers.ts'
import type { Kept } from './relay-delivery.ts'
import type { Expansion } from './relay-expansion.ts'
import type { Runtime } from '../runtime.ts'
import type { Target } from './relay-target.ts'

/** How long a spool is left alone that was full or failed. */
const restMs = 30_000

/** Who brought the message, for the log. */
export type Origin = Pick<SpooledEnvelope, 'service' | 'session' | 'peer'>

/** A message on its way into the spool. */
interface Taking {
  /** Within a bounded time: the ids, one for each envelope, or what the client hears instead. */
  readonly heard: Promise<{ readonly ids: readonly string[]; readonly trouble: Reply | undefined }>
  /** What is in the spool in the end; the content is needed until then. Never rejects. */
  readonly inTheEnd: Promise<readonly string[]>
}

export class SpoolGate {
  /** How long a client is kept waiting for the disk; milliseconds. */
  patienceMs: number = waits.spoolMs
  readonly #runtime: Runtime
  /** Clients were told that it failed, and the disk has not answered yet. */
  #hanging = 0
  /** Monotonic milliseconds. */
  #restsUntil = 0

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  get isUsable(): boolean {
    const isResting = this.#hanging > 0 || performance.now() < this.#restsUntil
    return this.#runtime.spool !== undefined && !isResting && !this.#isCrowded
  }

  /** What a client hears of a back-end where the message is not taken into the spool. */
  answerTo(failure: BackEndFailure): Reply {
    const isWanted = this.#runtime.current.config.relay.onBackendDown === 'spool'
    return isWanted && this.#isCrowded ? spoolTrouble.full : answerTo(failure)
  }

  /** Nothing is begun that may need it, but it does what it has promised. */
  get #isCrowded(): boolean {
    return this.#runtime.spool?.isCrowded === true
  }

  /** On the disk of the spool. */
  openFile(): Promise<DiskFile> {
    return openUnnamedFile(join(this.#runtime.current.config.stateDir, 'spool'))
  }

  accept(envelopes: readonly SpooledEnvelope[], content: Promise<SpooledContent>): Taking {
    const ids: string[] = []
    const late = new AbortController()
    const work = async (): Promise<void> => {
      const whole = await content
      for (const envelope of envelopes) {
        if (late.signal.aborted) return
        ids.push(await this.#writer().accept(envelope, whole, late.signal))
      }
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      late.abort()
      this.#hanging++
      reject(new Error('the disk does not answer'))
    }, this.patienceMs)
    const working = work().finally(() => {
      clearTimeout(timer)
      if (late.signal.aborted) this.#hanging--
    })
    working.then(resolve, reject)
    return {
      heard: promise.then(
        () => ({ ids, trouble: undefined }),
        (error: unknown) => ({ ids, trouble: this.failed(error) }),
      ),
      inTheEnd: working.then(
        () => ids,
        () => ids,
      ),
    }
  }

  /** Something needed for keeping a message has failed: what its client is to hear. */
  failed(error: unknown): Reply {
    this.#restsUntil = performance.now() + restMs
    // That it is full the spool itself reports.
    if (!isFullError(error)) {
      const detail = printable(messageOf(error))
      this.#runtime.log('internal', { reason: 'spool', detail })
    }
    const isOfRoom = spoolFault(error, '').code === 'SPOOL_FULL'
    return isOfRoom ? spoolTrouble.full : spoolTrouble.failed
  }

  #writer(): SpoolWriter {
    const { spool } = this.#runtime
    if (spool === undefined) throw new MailmuxError('SPOOL_FAILED', 'there is no spool any more')
    return spool
  }
}

function isFullError(error: unknown): boolean {
  if (error instanceof MailmuxError) return error.code === 'SPOOL_FULL'
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}

interface LeftOver {
  readonly left: Iterable<Target>
  readonly expansions: readonly Expansion[]
  /** The client's. */
  readonly sender: Sender
  readonly origin: Origin
}

/** What is left of a message when its back-ends have answered: one envelope for each sender. */
export function envelopesFor({ left, expansions, sender, origin }: LeftOver): SpooledEnvelope[] {
  const bySender = new Map<string, { sender: Sender; recipients: SpooledRecipient[] }>()
  const add = (by: Sender, recipient: SpooledRecipient): void => {
    const envelope = bySender.get(by.path) ?? { sender: by, recipients: [] }
    bySender.set(by.path, envelope)
    envelope.recipients.push(recipient)
  }
  for (const target of left) {
    const recipient = leftOver(target)
    if (recipient !== undefined) add(target.leg.sender, recipient)
  }
  for (const { path, parameters, action } of expansions) {
    add(sender, { address: path, ...parameters, state: { kind: 'expanded', action } })
  }
  return [...bySender.values()].map(
    ({ sender: { path, body, smtpUtf8, ret, envelopeId }, recipients }) => ({
      sender: path,
      body,
      smtpUtf8,
      ret,
      envelopeId,
      recipients,
      ...origin,
    }),
  )
}

/** For the log. A back-end that is owed at has not refused for good as far as it is told. */
export function keptOf(targets: Iterable<Target>, ids: readonly string[]): Kept {
  const owed = new Set<string>()
  const refused = new Set<string>()
  for (const { leg, outcome } of targets) {
    if (outcome === undefined || outcome.kind === 'accepted') continue
    const places = outcome.kind === 'refused' ? refused : owed
    places.add(leg.plan.backend)
  }
  const [owedAt, refusedBy] = [owed, refused].map((names) => [...names].join(','))
  return { queue: ids.join(','), owedAt: owedAt ?? '', refusedBy: refusedBy ?? '' }
}

function leftOver(target: Target): SpooledRecipient | undefined {
  const { recipient, parameters, leg, outcome } = target
  if (outcome === undefined || outcome.kind === 'accepted') return undefined
  const { backend } = leg.plan
  const { code, status, lines } = outcome.reply
  const reason = [code, status, lines[0]].join(' ')
  return {
    address: recipient,
    ...parameters,
    state:
      outcome.kind === 'refused'
        ? { kind: 'refused', backend, reply: outcome.reply }
        : { kind: 'owed', backend, reason },
  }
}
