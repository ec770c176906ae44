/** What a client hears from us alone, without a back-end. RFC 5321, RFC 3463. */
import { limits } from '../../base/limit.ts'
import type { RefusalReason, SessionEnd } from '../../base/log.ts'
import { type Reply, reply } from '../../mail/reply.ts'
import { attributeNames } from './client-attributes.ts'
import type { MessageFault } from './dot-reader.ts'
import type { FrontEndOptions } from './front-end-action.ts'

export const replies = {
  ok: reply(250, '2.0.0', 'ok'),
  senderOk: reply(250, '2.1.0', 'ok'),
  bye: reply(221, '2.0.0', 'bye'),
  startTls: reply(220, '2.0.0', 'ready to start TLS'),
  cannotVerify: reply(252, '2.5.0', 'send some mail, and see'),
  notImplemented: reply(502, '5.5.1', 'command not implemented'),
  tlsActive: reply(503, '5.5.1', 'TLS is active already'),
  tlsPipelined: reply(554, '5.5.1', 'nothing may be sent along with STARTTLS'),
  tooManyBad: reply(421, '4.7.0', 'too many bad commands'),
  tooManyUnknown: reply(421, '4.7.0', 'too many unknown recipients'),
  tooManyRecipients: reply(452, '4.5.3', 'too many recipients'),
  tooBig: reply(552, '5.3.4', 'message too big'),
  noRecipients: reply(554, '5.5.1', 'no valid recipients'),
  noSuccess: reply(503, '5.5.1', 'no valid recipients'),
  wideRecipient: reply(553, '5.6.7', 'the sender did not ask for SMTPUTF8'),
  badAttribute: reply(501, '5.5.4', 'bad attribute'),
  notTrusted: reply(550, '5.7.0', 'not from this address'),
  earlyTalker: reply(554, '5.5.0', 'protocol synchronization: you spoke before our greeting'),
  early: reply(554, '5.5.0', 'protocol synchronization: the message came before our 354'),
  goAhead: reply(354, '', 'end data with <CR><LF>.<CR><LF>'),
  stopping: reply(421, '4.3.2', 'shutting down, try again later'),
  slow_data: reply(421, '4.4.2', 'the message comes too slowly, closing'),
  idle_timeout: reply(421, '4.4.2', 'waited too long, closing'),
} as const

interface FaultAnswer {
  readonly reply: Reply
  readonly refusal: RefusalReason
  /** Where it may be an attack on the framing, nothing that the client says is believed after it. */
  readonly end: SessionEnd | undefined
}

const badLineEnd = reply(550, '5.5.2', 'bare LF or CR in message')

/** What is said to a faulty message once its end was read. */
export const faultAnswers: Readonly<Record<MessageFault, FaultAnswer>> = {
  bare_cr: { reply: badLineEnd, refusal: 'bare_cr', end: 'refused' },
  bare_lf: { reply: badLineEnd, refusal: 'bare_lf', end: 'refused' },
  nul_in_data: {
    reply: reply(550, '5.6.0', 'NUL in message'),
    refusal: 'nul_in_data',
    end: 'refused',
  },
  message_too_big: { reply: replies.tooBig, refusal: 'message_too_big', end: undefined },
  header_too_big: {
    reply: reply(552, '5.3.4', 'header too large'),
    refusal: 'message_too_big',
    end: undefined,
  },
  loop: {
    reply: reply(554, '5.4.6', 'too many hops: this message is in a loop'),
    refusal: 'loop',
    end: undefined,
  },
}

/** What a client hears first. */
export function greetingOf({ hostname, protocol }: FrontEndOptions): string {
  return `220 ${hostname} ${protocol === 'lmtp' ? 'LMTP' : 'ESMTP'} mailmux\r\n`
}

/** The answer to EHLO and LHLO, or to HELO, which offers nothing. */
export function helloReply(options: FrontEndOptions, isExtended: boolean, secure: boolean): Reply {
  const { hostname, offers, startTls, isTrusted } = options
  if (!isExtended) return reply(250, '', hostname)
  const offered = ['PIPELINING', `SIZE ${offers.limitBytes}`]
  if (offers.eightBitMime) offered.push('8BITMIME')
  if (offers.smtpUtf8) offered.push('SMTPUTF8')
  if (offers.dsn) offered.push('DSN')
  // RFC 9422.
  offered.push('ENHANCEDSTATUSCODES', `LIMITS RCPTMAX=${limits.recipientsPerMessage}`)
  if (startTls && !secure) offered.push('STARTTLS')
  if (isTrusted) {
    offered.push(`XCLIENT ${attributeNames.XCLIENT.join(' ')}`)
    offered.push(`XFORWARD ${attributeNames.XFORWARD.join(' ')}`)
  }
  return reply(250, '', hostname, ...offered)
}
