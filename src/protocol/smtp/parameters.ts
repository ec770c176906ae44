/**
 * What may follow the path of MAIL and RCPT: SIZE (RFC 1870), BODY (RFC 6152), SMTPUTF8 (RFC 6531),
 * RET, ENVID, NOTIFY and ORCPT (RFC 3461, RFC 6533). What was not offered is refused, whatever its
 * value is.
 */
import { type Reply, reply } from '../../mail/reply.ts'
import type { Offers } from './offers.ts'
import { isAscii } from './path.ts'
import { decodeXtext } from './xtext.ts'

export type BodyType = '7BIT' | '8BITMIME'
export type NotifyKeyword = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY'

export interface MailParameters {
  readonly sizeBytes: number | undefined
  readonly body: BodyType | undefined
  readonly smtpUtf8: boolean
  readonly ret: 'FULL' | 'HDRS' | undefined
  /** xtext, as the client wrote it. */
  readonly envelopeId: string | undefined
}

export interface RcptParameters {
  /** Undefined: none was given. */
  readonly notify: readonly NotifyKeyword[] | undefined
  /** `type;address` as the client wrote it. */
  readonly originalRecipient: string | undefined
}

const noMailParameters: MailParameters = {
  sizeBytes: undefined,
  body: undefined,
  smtpUtf8: false,
  ret: undefined,
  envelopeId: undefined,
}
export const noRcptParameters: RcptParameters = { notify: undefined, originalRecipient: undefined }

interface Refused {
  readonly refusal: Reply
}

const refusals = {
  value: reply(501, '5.5.4', 'bad parameter value'),
  repeated: reply(501, '5.5.4', 'parameter given twice'),
  unsupported: reply(555, '5.5.4', 'parameter not recognized or not offered'),
} as const

/** RFC 3461 4.4 and 4.2. */
const envelopeIdChars = 100
const originalRecipientChars = 500

/** The values of parameters by name; nothing but a value that is given can be empty. */
type Values = ReadonlyMap<string, string | undefined>

function split(text: string, known: ReadonlySet<string>): { values: Values } | Refused {
  const values = new Map<string, string | undefined>()
  for (const parameter of text.split(/[ \t]+/)) {
    const at = parameter.indexOf('=')
    const name = (at === -1 ? parameter : parameter.slice(0, at)).toUpperCase()
    if (!known.has(name)) return { refusal: refusals.unsupported }
    if (values.has(name)) return { refusal: refusals.repeated }
    values.set(name, at === -1 ? undefined : parameter.slice(at + 1))
  }
  return { values }
}

function mailNames({ eightBitMime, smtpUtf8, dsn }: Offers): Set<string> {
  const names = ['SIZE']
  if (eightBitMime) names.push('BODY')
  if (smtpUtf8) names.push('SMTPUTF8')
  if (dsn) names.push('RET', 'ENVID')
  return new Set(names)
}

export function parseMailParameters(text: string, offers: Offers): MailParameters | Refused {
  if (text === '') return noMailParameters
  const read = split(text, mailNames(offers))
  if ('refusal' in read) return read
  const { values } = read
  const value = (name: string): string | undefined => values.get(name)
  const body = value('BODY')?.toUpperCase()
  // It belongs to CHUNKING, which is not offered (RFC 3030).
  if (body === 'BINARYMIME') return { refusal: refusals.unsupported }
  const size = value('SIZE')
  const ret = value('RET')?.toUpperCase()
  const envelopeId = value('ENVID')
  const isGood =
    // RFC 1870: up to 20 digits; beyond 2^53 only "too big" is left to say.
    (!values.has('SIZE') || /^\d{1,20}$/.test(size ?? '')) &&
    (!values.has('BODY') || body === '7BIT' || body === '8BITMIME') &&
    (!values.has('SMTPUTF8') || value('SMTPUTF8') === undefined) &&
    (!values.has('RET') || ret === 'FULL' || ret === 'HDRS') &&
    (!values.has('ENVID') || isEnvelopeId(envelopeId ?? ''))
  if (!isGood) return { refusal: refusals.value }
  return {
    sizeBytes: size === undefined ? undefined : Number(size),
    body: body as BodyType | undefined,
    smtpUtf8: values.has('SMTPUTF8'),
    ret: ret as MailParameters['ret'],
    envelopeId,
  }
}

function isEnvelopeId(text: string): boolean {
  return text.length <= envelopeIdChars && (decodeXtext(text) ?? '') !== ''
}

const rcptNames: ReadonlySet<string> = new Set(['NOTIFY', 'ORCPT'])

export function parseRcptParameters(text: string, offers: Offers): RcptParameters | Refused {
  if (text === '') return noRcptParameters
  const read = split(text, offers.dsn ? rcptNames : new Set<string>())
  if ('refusal' in read) return read
  const { values } = read
  const notify = values.has('NOTIFY') ? parseNotify(values.get('NOTIFY') ?? '') : undefined
  const originalRecipient = values.get('ORCPT')
  const isGood =
    (!values.has('NOTIFY') || notify !== undefined) &&
    (!values.has('ORCPT') || isOriginalRecipient(originalRecipient ?? ''))
  return isGood ? { notify, originalRecipient } : { refusal: refusals.value }
}

const notifyKeywords: ReadonlySet<string> = new Set(['NEVER', 'SUCCESS', 'FAILURE', 'DELAY'])

/** RFC 3461 4.1: NEVER stands alone. */
function parseNotify(text: string): NotifyKeyword[] | undefined {
  const words = text.toUpperCase().split(',')
  const isGood =
    words.every((word) => notifyKeywords.has(word)) &&
    new Set(words).size === words.length &&
    (words.length === 1 || !words.includes('NEVER'))
  return isGood ? (words as NotifyKeyword[]) : undefined
}

// RFC 6533 section 3: beyond ASCII as it is, or as `\x{…}`.
const utf8Address = /^(?:[!-*,-<>-[\]-~\u{a0}-\u{10ffff}]|\\x\{[0-9A-F]{2,6}\})+$/u

function isOriginalRecipient(text: string): boolean {
  if (text.length > originalRecipientChars) return false
  const [, type = '', address = ''] = /^([A-Za-z0-9-]+);(.+)$/su.exec(text) ?? []
  if (type.toLowerCase() === 'utf-8') return utf8Address.test(address)
  return (decodeXtext(address) ?? '') !== ''
}

/** Whether it can be sent on without SMTPUTF8. */
export function isAsciiRecipient({ originalRecipient = '' }: RcptParameters): boolean {
  return isAscii(originalRecipient)
}
