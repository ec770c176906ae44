/**
 * The way of a message into the spool: whether there is one that takes something, and what is owed to
 * whom. After the spool was full or failed, nothing that might need it is begun for a while: messages
 * for one back-end go through, others are asked to come one by one.
 */
import { join } from 'node:path'
import { MailmuxError, messageOf } from '../base/error.ts'
import { printable } from '../base/log.ts'
import type { Reply } from '../mail/reply.ts'
import type { Sender } from '../protocol/smtp/capabilities.ts'
import type {
  SpooledContent,
  SpooledEnvelope,
  SpooledRecipient,
  SpoolWriter,
} from '../spool/spooled-message.ts'
import type { DiskFile } from '../storage/disk.ts'
import { openUnnamedFile } from '../storage/unnamed-file.ts'
import { spoolTrouble } from './relay-answers.ts'
import type { Runtime } from './runtime.ts'
import type { Target } from './relay-target.ts'

/** How long a spool is left alone that was full or failed. */
const restMs = 30_000

/** Who brought the message, for the log. */
export interface Origin {
  readonly session: string
  readonly peer: string
}

export class SpoolGate {
  readonly #runtime: Runtime
  /** Monotonic milliseconds. */
  #restsUntil = 0

  constructor(runtime: Runtime) {
    this.#runtime = runtime
  }

  get isUsable(): boolean {
    return this.#runtime.spool !== undefined && performance.now() >= this.#restsUntil
  }

  /** On the disk of the spool. */
  openFile(): Promise<DiskFile> {
    return openUnnamedFile(join(this.#runtime.current.config.stateDir, 'spool'))
  }

  /** Returns the ids, one for each envelope, or what the client hears where it was not taken. */
  async accept(
    envelopes: readonly SpooledEnvelope[],
    content: Promise<SpooledContent>,
  ): Promise<{ readonly ids: readonly string[]; readonly trouble: Reply | undefined }> {
    const ids: string[] = []
    try {
      const whole = await content
      for (const envelope of envelopes) ids.push(await this.#writer().accept(envelope, whole))
      return { ids, trouble: undefined }
    } catch (error) {
      return { ids, trouble: this.failed(error) }
    }
  }

  /** Something needed for keeping a message has failed: what its client is to hear. */
  failed(error: unknown): Reply {
    this.#restsUntil = performance.now() + restMs
    const isFull = isFullError(error)
    // That it is full the spool itself reports.
    if (!isFull) {
      const detail = printable(messageOf(error))
      this.#runtime.log('internal', { reason: 'spool', detail })
    }
    return isFull ? spoolTrouble.full : spoolTrouble.failed
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

/** What is left of a message when its back-ends have answered: one envelope for each sender. */
export function envelopesFor(targets: Iterable<Target>, origin: Origin): SpooledEnvelope[] {
  const bySender = new Map<string, { sender: Sender; recipients: SpooledRecipient[] }>()
  for (const target of targets) {
    const recipient = leftOver(target)
    if (recipient === undefined) continue
    const { sender } = target.leg
    const envelope = bySender.get(sender.path) ?? { sender, recipients: [] }
    bySender.set(sender.path, envelope)
    envelope.recipients.push(recipient)
  }
  return [...bySender.values()].map(({ sender, recipients }) => ({
    sender: sender.path,
    body: sender.body,
    smtpUtf8: sender.smtpUtf8,
    ret: sender.ret,
    envelopeId: sender.envelopeId,
    recipients,
    ...origin,
  }))
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
