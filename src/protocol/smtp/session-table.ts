/**
 * What may follow what in a session: the one table of (phase, event). RFC 5321 4.1.4.
 *
 * Whatever ends a transaction, well or badly, leads to the same empty phase; so a recipient after a
 * refused message is as much out of order as one without any MAIL before it.
 */
import { type Reply, reply } from '../../mail/reply.ts'

/** start: not greeted. ready: greeted, no transaction. sender: MAIL taken. recipients: RCPT came. */
export type Phase = 'start' | 'ready' | 'sender' | 'recipients'

export type TableEvent =
  | 'HELLO'
  | 'MAIL'
  | 'RCPT'
  | 'DATA'
  | 'RSET'
  /** Somebody else is the client from now on. */
  | 'XCLIENT'
  | 'XFORWARD'
  /** TLS is up. */
  | 'secured'
  /** The transaction has had its last reply: of DATA where that was refused, else of the message. */
  | 'ended'

const helloFirst = reply(503, '5.5.1', 'send EHLO first')
const mailFirst = reply(503, '5.5.1', 'send MAIL first')
const recipientFirst = reply(503, '5.5.1', 'send RCPT first')
const nested = reply(503, '5.5.1', 'a transaction is open already')

type Row = Readonly<Record<Phase, Phase | Reply>>

function always(phase: Phase): Row {
  return { start: phase, ready: phase, sender: phase, recipients: phase }
}

const table: Readonly<Record<TableEvent, Row>> = {
  HELLO: always('ready'),
  MAIL: { start: helloFirst, ready: 'sender', sender: nested, recipients: nested },
  RCPT: { start: helloFirst, ready: mailFirst, sender: 'recipients', recipients: 'recipients' },
  DATA: { start: helloFirst, ready: mailFirst, sender: recipientFirst, recipients: 'recipients' },
  RSET: { start: 'start', ready: 'ready', sender: 'ready', recipients: 'ready' },
  XCLIENT: { start: 'start', ready: 'start', sender: nested, recipients: nested },
  XFORWARD: { start: helloFirst, ready: 'ready', sender: nested, recipients: nested },
  secured: always('start'),
  ended: { start: 'start', ready: 'ready', sender: 'ready', recipients: 'ready' },
}

/** The next phase, or the refusal of an event that is out of order (the phase stays). */
export function next(phase: Phase, event: TableEvent): Phase | Reply {
  return table[event][phase]
}
