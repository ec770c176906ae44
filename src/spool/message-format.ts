/**
 * The bytes of a file in the spool:
 *
 *     mailmux-spool 1 <head bytes> <content bytes> <SHA-256 of the head> <SHA-256 of the content>\n
 *     <head: one JSON object, the envelope>
 *     <content: the message as it goes to a back-end, without the final dot line>
 *     <journal: what has become of it since, see journal.ts>
 *
 * The first line has one length always, so that it can be written last, and the head be read without
 * the content. Everything before the journal stays as it is from the rename on.
 */
import { hash } from 'node:crypto'
import type { SpooledEnvelope, SpooledRecipient } from './spooled-message.ts'

/** What a message came in with. */
export interface MessageHead {
  /** The queue id; the file bears it too. */
  readonly id: string
  /** When it was taken in: milliseconds since 1970. */
  readonly arrivedAt: number
  readonly envelope: SpooledEnvelope
}

export interface FirstLine {
  readonly headBytes: number
  readonly contentBytes: number
  readonly headSum: string
  readonly contentSum: string
}

const magic = 'mailmux-spool 1'
const lengthDigits = 15
const sumDigits = 64
export const firstLineBytes = magic.length + 2 * (lengthDigits + 1) + 2 * (sumDigits + 1) + 1
/** A thousand recipients with all that they may have. */
export const headLimitBytes = 4 * 1024 * 1024

const firstLinePattern = new RegExp(
  `^${magic} (\\d{${lengthDigits}}) (\\d{${lengthDigits}}) ([0-9a-f]{64}) ([0-9a-f]{64})\\n$`,
)

export function formatFirstLine(line: FirstLine): Buffer {
  const [head, content] = [line.headBytes, line.contentBytes].map((bytes) =>
    String(bytes).padStart(lengthDigits, '0'),
  )
  return Buffer.from(`${magic} ${head} ${content} ${line.headSum} ${line.contentSum}\n`, 'latin1')
}

/** undefined where the bytes are no first line of this version. */
export function parseFirstLine(bytes: Buffer): FirstLine | undefined {
  const found = firstLinePattern.exec(bytes.subarray(0, firstLineBytes).toString('latin1'))
  if (found === null) return undefined
  const [, head, content, headSum = '', contentSum = ''] = found
  const line = { headBytes: Number(head), contentBytes: Number(content), headSum, contentSum }
  return line.headBytes > headLimitBytes ? undefined : line
}

export function sumOf(bytes: Buffer): string {
  return hash('sha256', bytes, 'hex')
}

export function formatHead(head: MessageHead): Buffer {
  return Buffer.from(`${JSON.stringify(head)}\n`)
}

/** Whether the sum of the first line fits is asked before; undefined where it is no head all the same. */
export function parseHead(bytes: Buffer): MessageHead | undefined {
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
  return isHead(value) ? completed(value) : undefined
}

function isHead(value: unknown): value is MessageHead {
  if (value === null || typeof value !== 'object') return false
  const { id, arrivedAt, envelope } = value as Partial<Record<keyof MessageHead, unknown>>
  if (typeof id !== 'string' || typeof arrivedAt !== 'number') return false
  if (envelope === null || typeof envelope !== 'object') return false
  const { sender, recipients } = envelope as Partial<Record<keyof SpooledEnvelope, unknown>>
  return typeof sender === 'string' && Array.isArray(recipients) && recipients.every(isRecipient)
}

function isRecipient(value: unknown): value is SpooledRecipient {
  if (value === null || typeof value !== 'object') return false
  const { address, state } = value as Partial<Record<keyof SpooledRecipient, unknown>>
  if (typeof address !== 'string' || state === null || typeof state !== 'object') return false
  const { kind } = state as { readonly kind?: unknown }
  return kind === 'owed' || kind === 'refused' || kind === 'expanded'
}

/** JSON has no `undefined`: what was left out is put in again. */
function completed({ id, arrivedAt, envelope }: MessageHead): MessageHead {
  const { sender, body, ret, envelopeId, session, peer } = envelope
  return {
    id,
    arrivedAt,
    envelope: {
      sender,
      body,
      smtpUtf8: envelope.smtpUtf8,
      ret,
      envelopeId,
      recipients: envelope.recipients.map(({ address, originalRecipient, notify, state }) => ({
        address,
        originalRecipient,
        notify,
        state: completedState(state),
      })),
      // Absent in files of before it was told.
      service: envelope.service === 'lmtp' ? 'lmtp' : 'smtp',
      session,
      peer,
    },
  }
}

function completedState(state: SpooledRecipient['state']): SpooledRecipient['state'] {
  switch (state.kind) {
    case 'owed':
      return { kind: 'owed', backend: state.backend, reason: state.reason }
    case 'refused':
      return { kind: 'refused', backend: state.backend, reply: state.reply }
    case 'expanded':
      return { kind: 'expanded', action: state.action }
    default:
      return state satisfies never
  }
}
