/**
 * Notifications of the queue: composes them and puts them into the spool as messages of their own, to
 * the sender. Rate-capped: what is over the cap is written later, never dropped.
 */
import type { Clock } from '../../base/clock.ts'
import { MailmuxError } from '../../base/error.ts'
import { limits } from '../../base/limit.ts'
import type { Destination } from '../../mail/route.ts'
import { isAscii } from '../../protocol/smtp/path.ts'
import type { FileSpoolWriter } from '../../spool/file-spool-writer.ts'
import type { MessageFile } from '../../spool/message-file.ts'
import type { RecipientProgress } from '../../spool/progress.ts'
import { composeReport, type Original, originalOf } from '../../spool/report-message.ts'
import type { ReportKind } from '../../spool/report-policy.ts'
import { notificationId } from '../../spool/spool-places.ts'
import type { SpooledEnvelope, SpooledRecipient } from '../../spool/spooled-message.ts'
import type { Generation } from '../runtime.ts'
import { ownAddress } from '../sender-reach.ts'

export type Written =
  | { readonly kind: 'written'; readonly id: string }
  /** Nothing can be sent to this sender. */
  | { readonly kind: 'lost'; readonly detail: string }
  | { readonly kind: 'later' }

/** At once, and then in a second. */
const burst = 100
const perSecond = 2
/** A larger message is shown by its head alone, also where all of it was asked for. */
const wholeLimitBytes = 262_144

export class QueueReports {
  readonly #writer: FileSpoolWriter
  readonly #clock: Clock
  #tokens = burst
  #countedAt: number

  constructor(writer: FileSpoolWriter, clock: Clock) {
    this.#writer = writer
    this.#clock = clock
    this.#countedAt = clock.now()
  }

  async write(
    file: MessageFile,
    kind: ReportKind,
    about: readonly RecipientProgress[],
    generation: Generation,
  ): Promise<Written> {
    const recipients = recipientsOf(file.head.envelope.sender, generation)
    if (!Array.isArray(recipients)) return recipients
    if (!this.#takeToken()) return { kind: 'later' }
    const { config } = generation
    const { envelope, id, arrivedAt } = file.head
    // What its message needed it needs only where its own addresses do: others may not take it.
    const own = [envelope.sender, ...recipients.map(({ address }) => address)]
    const smtpUtf8 = !own.every(isAscii)
    const content = await composeReport({
      kind,
      hostname: config.hostname,
      postmaster: config.postmaster,
      to: envelope.sender,
      at: new Date(this.#clock.wall()),
      arrivedAt: new Date(arrivedAt),
      givenUpAt: new Date(arrivedAt + config.spool.maxAgeMs),
      envelopeId: envelope.envelopeId,
      id,
      recipients: about,
      isFinal: (backend) => config.backends.get(backend ?? '')?.endpoints.lmtp !== undefined,
      original: await shown(file, kind, smtpUtf8),
      smtpUtf8,
    })
    // The same after a crash, so that it is not written a second time.
    const ownId = notificationId(id, file.progress.notifications + 1)
    const parts = { kind: 'memory', parts: [content] } as const
    const isEightBit = content.some((octet) => octet > 0x7f)
    const needs = { body: isEightBit ? '8BITMIME' : undefined, smtpUtf8 } as const
    try {
      await this.#writer.acceptAs(ownId, { ...envelopeFor(file, recipients), ...needs }, parts)
      return { kind: 'written', id: ownId }
    } catch (error) {
      // The disk: it is written when there is room again.
      if (error instanceof MailmuxError) return { kind: 'later' }
      throw error
    }
  }

  #takeToken(): boolean {
    const now = this.#clock.now()
    this.#tokens = Math.min(burst, this.#tokens + ((now - this.#countedAt) / 1000) * perSecond)
    this.#countedAt = now
    if (this.#tokens < 1) return false
    this.#tokens--
    return true
  }
}

/** RET; RFC 3461 4.3. Successes and delays never bring the whole message back. */
async function shown(file: MessageFile, kind: ReportKind, smtpUtf8: boolean): Promise<Original> {
  const { envelope } = file.head
  const isWanted = kind === 'failure' && envelope.ret === 'FULL'
  // A head beyond ASCII goes only where SMTPUTF8 does, and alone it can be encoded.
  const isPassable = smtpUtf8 || !envelope.smtpUtf8
  const isWhole = isWanted && isPassable && file.contentBytes <= wholeLimitBytes
  return originalOf(
    await file.beginning(isWhole ? wholeLimitBytes : limits.shownHeadBytes),
    isWhole,
  )
}

function envelopeFor(
  { head: { envelope } }: MessageFile,
  recipients: readonly SpooledRecipient[],
): Omit<SpooledEnvelope, 'body' | 'smtpUtf8'> {
  return {
    sender: '',
    ret: undefined,
    envelopeId: undefined,
    recipients,
    service: envelope.service,
    session: envelope.session,
    peer: envelope.peer,
  }
}

/** Where a sender's own mail goes: its aliases are followed here, once. */
function recipientsOf(sender: string, { config, map }: Generation): SpooledRecipient[] | Written {
  const address = ownAddress(sender, config.naming)
  if (address === undefined) {
    const { smarthost } = config
    if (smarthost === undefined) {
      return { kind: 'lost', detail: 'the sender is elsewhere, and the config names no smarthost' }
    }
    return [toReport(sender, smarthost)]
  }
  const found = map.resolve('delivery', address, config.naming)
  switch (found.result) {
    case 'route':
      return [destinationOf(found.destination)]
    case 'expand':
      return found.destinations.map(destinationOf)
    case 'defer':
    case 'error':
      return { kind: 'later' }
    case 'reject':
    case 'unknown':
    case 'foreign':
      return { kind: 'lost', detail: 'there is no such sender here' }
    default:
      return found satisfies never
  }
}

function destinationOf({ address, recipient, backend }: Destination): SpooledRecipient {
  return toReport(recipient ?? address, backend)
}

function toReport(address: string, backend: string): SpooledRecipient {
  return {
    address,
    originalRecipient: undefined,
    notify: undefined,
    state: { kind: 'owed', backend, reason: 'a notification that has just been written' },
  }
}
