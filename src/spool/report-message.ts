/**
 * Delivery status notifications: a text for people, one for programs (RFC 3464), and the message or
 * its head (RFC 6522), composed by nodemailer, in the form in which the spool takes messages.
 */
import MimeNode from 'nodemailer/lib/mime-node'
import type { RecipientProgress } from './progress.ts'
import type { ReportKind } from './report-policy.ts'

export interface ReportInput {
  readonly kind: ReportKind
  /** Our name, and the address of whoever answers for us. */
  readonly hostname: string
  readonly postmaster: string
  /** Sender of the message that this is about. */
  readonly to: string
  readonly at: Date
  readonly arrivedAt: Date
  /** When it will be given up, of a delay. */
  readonly givenUpAt: Date
  /** ENVID as the client gave it. */
  readonly envelopeId: string | undefined
  /** Queue id of the message. */
  readonly id: string
  readonly recipients: readonly RecipientProgress[]
  /** Whether a back-end keeps mailboxes itself, or may pass on. */
  readonly isFinal: (backend: string | undefined) => boolean
  readonly original: Original
  /** It may have other than ASCII letters in its head, and in addresses as they are. RFC 6533. */
  readonly smtpUtf8: boolean
}

/** The message: whole, or its head alone; dots as they were. */
export interface Original {
  readonly isWhole: boolean
  readonly bytes: Buffer
}

/** What is shown of a message: `bytes` are the beginning of its content in the spool. */
export function originalOf(bytes: Buffer, isWhole: boolean): Original {
  const text = bytes.toString('latin1').replace(/^\./gm, '')
  if (isWhole) return { isWhole, bytes: Buffer.from(text, 'latin1') }
  const end = text.indexOf('\r\n\r\n')
  const lineEnd = text.lastIndexOf('\r\n')
  const head = text.slice(0, (end === -1 ? lineEnd : end) + 2)
  return { isWhole, bytes: Buffer.from(head, 'latin1') }
}

/** The notification as the spool takes it: dots stuffed, no final dot line. */
export async function composeReport(input: ReportInput): Promise<Buffer> {
  const root = new MimeNode('multipart/report; report-type=delivery-status', { newline: 'win' })
  root.setHeader({
    From: { name: `Mail system at ${input.hostname}`, address: input.postmaster },
    To: { name: '', address: input.to },
    Subject: subjects[input.kind],
    Date: input.at,
    'Message-ID': `<${input.id}.${input.at.getTime()}@${input.hostname}>`,
    'Auto-Submitted': 'auto-replied',
  })
  root.createChild('text/plain; charset=utf-8').setContent(textOf(input))
  const status = root.createChild(
    input.smtpUtf8 ? 'message/global-delivery-status' : 'message/delivery-status',
  )
  const fields = statusOf(input)
  if (isEightBit(fields)) status.setHeader('Content-Transfer-Encoding', '8bit')
  status.setContent(fields)
  appendOriginal(root, input)
  const composed = await root.build()
  const text = composed.toString('latin1')
  const ended = text.endsWith('\r\n') ? text : `${text}\r\n`
  return Buffer.from(ended.replace(/^\./gm, '..'), 'latin1')
}

const subjects: Readonly<Record<ReportKind, string>> = {
  failure: 'Your message was not delivered',
  delay: 'Your message is delayed',
  success: 'Your message was delivered',
}

/** RFC 5322 2.1.1. */
const longLine = /[^\r\n]{999}/

function appendOriginal(root: MimeNode, { original, smtpUtf8 }: ReportInput): void {
  const { isWhole, bytes } = original
  const text = bytes.toString('latin1')
  if (isWhole) {
    const part = root.createChild(smtpUtf8 ? 'message/global' : 'message/rfc822')
    if (isEightBit(text)) part.setHeader('Content-Transfer-Encoding', '8bit')
    part.setContent(bytes)
  } else if (isEightBit(text) || longLine.test(text)) {
    // What cannot be sent as it is gets encoded.
    root.createChild('text/rfc822-headers').setContent(bytes)
  } else {
    root
      .createChild('text/rfc822-headers')
      .setRaw(`Content-Type: text/rfc822-headers\r\n\r\n${text}`)
  }
}

function isEightBit(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- all of ASCII is what is meant
  return /[^\u0000-\u007f]/.test(text)
}

function textOf({ kind, hostname, recipients, givenUpAt, original }: ReportInput): string {
  const openings: Readonly<Record<ReportKind, string>> = {
    failure:
      'Your message could not be delivered to the addresses below. No further attempt is made.',
    delay: `Your message could not be delivered yet to the addresses below. Nothing needs to be
done: it is tried again until ${givenUpAt.toUTCString()}.`,
    success: 'Your message has been delivered to the addresses below, as you asked to be told.',
  }
  const about = recipients.map((one) => `  ${one.recipient.address}\r\n    ${reasonOf(one, kind)}`)
  const shown = original.isWhole ? 'The message itself' : 'The head of the message'
  return [
    `This is the mail system at ${hostname}.`,
    openings[kind].replaceAll('\n', ' '),
    ...about,
    `${shown} follows after a part for programs.`,
    '',
  ].join('\r\n\r\n')
}

function reasonOf({ code, status, text }: RecipientProgress, kind: ReportKind): string {
  if (code !== undefined) return [code, status, text].filter(Boolean).join(' ')
  // What we say to ourselves of a delay has names in it that are nobody's business.
  return kind === 'delay' ? 'its mail server cannot be reached now' : text
}

/** RFC 3464 section 2. */
function statusOf(input: ReportInput): string {
  const { hostname, arrivedAt, envelopeId, recipients } = input
  const message = [
    ...(envelopeId === undefined ? [] : [`Original-Envelope-Id: ${decodeXtext(envelopeId)}`]),
    `Reporting-MTA: dns; ${hostname}`,
    `X-Mailmux-Queue-ID: ${input.id}`,
    `Arrival-Date: ${dateOf(arrivedAt)}`,
  ]
  const groups = [message, ...recipients.map((one) => recipientFields(one, input))]
  return groups.map((fields) => `${fields.join('\r\n')}\r\n`).join('\r\n')
}

function recipientFields(one: RecipientProgress, input: ReportInput): string[] {
  const { recipient, code, status, text } = one
  const reply = [code, status, text].filter(Boolean).join(' ')
  return [
    ...(recipient.originalRecipient === undefined
      ? []
      : [`Original-Recipient: ${originalRecipient(recipient.originalRecipient, input)}`]),
    `Final-Recipient: ${finalRecipient(recipient.address, input)}`,
    `Action: ${actionOf(one, input)}`,
    `Status: ${statusCode(status, input.kind)}`,
    // Only a back-end's own reply is one in the words of SMTP.
    ...(code === undefined ? [] : [`Diagnostic-Code: smtp; ${reply}`]),
    `Last-Attempt-Date: ${dateOf(input.at)}`,
    ...(input.kind === 'delay' ? [`Will-Retry-Until: ${dateOf(input.givenUpAt)}`] : []),
  ]
}

/** RFC 3464 2.3.3. What went to a back-end that tells nobody of its own outcome is `relayed`. */
function actionOf({ backend, recipient }: RecipientProgress, report: ReportInput): string {
  const { kind, isFinal } = report
  if (kind === 'failure') return 'failed'
  if (kind === 'delay') return 'delayed'
  if (recipient.state.kind === 'expanded') return recipient.state.action
  // No back-end has it: it was sent on to the addresses that it leads to.
  if (backend === undefined) return 'expanded'
  return isFinal(backend) ? 'delivered' : 'relayed'
}

/** The class must agree with the action; RFC 3464 2.3.4. */
function statusCode(status: string, kind: ReportKind): string {
  const allowed = { failure: /^[45]\.\d{1,3}\.\d{1,3}$/, delay: /^4\.\d/, success: /^2\.\d/ }
  const defaults = { failure: '5.0.0', delay: '4.0.0', success: '2.0.0' }
  return allowed[kind].test(status) ? status : defaults[kind]
}

function dateOf(date: Date): string {
  return date.toUTCString().replace('GMT', '+0000')
}

function finalRecipient(address: string, { smtpUtf8 }: ReportInput): string {
  if (!isEightBit(address)) return `rfc822; ${address}`
  return `utf-8; ${smtpUtf8 ? address : escaped(address)}`
}

/** ORCPT is `type;xtext` (RFC 3461 4.2), or `utf-8;` and an address of RFC 6533 section 3. */
function originalRecipient(written: string, { smtpUtf8 }: ReportInput): string {
  const [type = '', ...rest] = written.split(';')
  const address = rest.join(';')
  if (type.toLowerCase() !== 'utf-8') return `${type};${decodeXtext(address)}`
  return `${type};${smtpUtf8 ? address : escaped(address)}`
}

/** utf-8-addr-xtext, for parts that must be ASCII. */
function escaped(address: string): string {
  return address.replace(/[\u{80}-\u{10ffff}]/gu, (letter) => {
    const code = letter.codePointAt(0) ?? 0
    return `\\x{${code.toString(16).toUpperCase()}}`
  })
}

/** RFC 3461 section 4. What decodes to something that would break the line stays as it is. */
function decodeXtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (written, digits: string) => {
    const code = Number.parseInt(digits, 16)
    return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : written
  })
}
