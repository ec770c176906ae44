/** What a back-end offers in its reply to EHLO or LHLO, and envelopes written with what it takes. */
import type { MailParameters, RcptParameters } from './parameters.ts'

/** The envelope sender as it is passed on. */
export interface Sender extends MailParameters {
  /** Wire form; '' for the null path. */
  readonly path: string
}

/** Of the owner of a list, a message is a new one, of which nobody asked to be told (RFC 3461 5.2.7.3). */
export function withPath(sender: Sender, path: string): Sender {
  if (path === sender.path) return sender
  return { ...sender, path, ret: undefined, envelopeId: undefined }
}

export interface Capabilities {
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly dsn: boolean
  readonly size: boolean
  /** 0: no limit is named. */
  readonly sizeBytes: number
  readonly startTls: boolean
  /** Names of the attributes that it takes; none where it does not offer the command. */
  readonly xclient: ReadonlySet<string>
  readonly xforward: ReadonlySet<string>
  /** SASL mechanisms, in capitals. */
  readonly auth: ReadonlySet<string>
}

const none: ReadonlySet<string> = new Set()

export const noCapabilities: Capabilities = {
  pipelining: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  size: false,
  sizeBytes: 0,
  startTls: false,
  xclient: none,
  xforward: none,
  auth: none,
}

/** `lines` as they came; the first is the greeting. RFC 5321 4.1.1.1. */
export function parseCapabilities(lines: readonly string[]): Capabilities {
  const keywords = new Map<string, readonly string[]>()
  for (const line of lines.slice(1)) {
    const [keyword = '', ...words] = line.toUpperCase().split(/[ =]+/)
    keywords.set(keyword, words)
  }
  const wordsOf = (keyword: string): ReadonlySet<string> => new Set(keywords.get(keyword))
  const [size = ''] = keywords.get('SIZE') ?? []
  return {
    pipelining: keywords.has('PIPELINING'),
    eightBitMime: keywords.has('8BITMIME'),
    smtpUtf8: keywords.has('SMTPUTF8'),
    dsn: keywords.has('DSN'),
    size: keywords.has('SIZE'),
    sizeBytes: /^\d{1,15}$/.test(size) ? Number(size) : 0,
    startTls: keywords.has('STARTTLS'),
    xclient: wordsOf('XCLIENT'),
    xforward: wordsOf('XFORWARD'),
    auth: wordsOf('AUTH'),
  }
}

/** What of it can be offered on, in the words of EHLO. XCLIENT depends on who asks. */
export function describeCapabilities(offered: Capabilities): string[] {
  const words: readonly (readonly [boolean, string])[] = [
    [offered.pipelining, 'PIPELINING'],
    [offered.size, offered.sizeBytes === 0 ? 'SIZE' : `SIZE ${offered.sizeBytes}`],
    [offered.eightBitMime, '8BITMIME'],
    [offered.smtpUtf8, 'SMTPUTF8'],
    [offered.dsn, 'DSN'],
  ]
  return words.flatMap(([isOffered, word]) => (isOffered ? [word] : []))
}

export function formatMail(sender: Sender, offered: Capabilities): string {
  const { path, sizeBytes, body, smtpUtf8, ret, envelopeId } = sender
  let text = `MAIL FROM:<${path}>`
  if (offered.size && sizeBytes !== undefined) text += ` SIZE=${sizeBytes}`
  if (offered.eightBitMime && body !== undefined) text += ` BODY=${body}`
  if (smtpUtf8) text += ' SMTPUTF8'
  if (offered.dsn && ret !== undefined) text += ` RET=${ret}`
  if (offered.dsn && envelopeId !== undefined) text += ` ENVID=${envelopeId}`
  return `${text}\r\n`
}

export function formatRcpt(
  address: string,
  { notify, originalRecipient }: RcptParameters,
  offered: Capabilities,
): string {
  let text = `RCPT TO:<${address}>`
  if (offered.dsn && notify !== undefined) text += ` NOTIFY=${notify.join(',')}`
  if (offered.dsn && originalRecipient !== undefined) text += ` ORCPT=${originalRecipient}`
  return `${text}\r\n`
}
