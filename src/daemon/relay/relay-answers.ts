/** What a client hears where the reply of one back-end is not the answer, or there is none. */
import { classOf, type Reply, reply } from '../../mail/reply.ts'
import type { BackEndFailure } from '../../protocol/smtp/back-end-action.ts'

export const tooMany = reply(452, '4.5.3', 'send this recipient in another transaction')
export const lost = {
  unreachable: reply(451, '4.4.1', 'the back-end of this recipient cannot be reached'),
  busy: reply(451, '4.4.5', 'the back-end of this recipient is busy, try again later'),
  broken: reply(451, '4.4.2', 'the connection to the back-end was lost, try again later'),
  stopping: reply(451, '4.3.2', 'the back-end is shutting down, try again later'),
  confused: reply(451, '4.3.0', 'the back-end gave no sense, try again later'),
  moving: reply(451, '4.2.1', 'a mailbox of this message is being moved, try again in a minute'),
} as const
export const frozen = reply(450, '4.2.1', 'this mailbox is being moved, try again in a minute')
export const noRecipients = reply(554, '5.5.1', 'no valid recipients')
export const goAhead = reply(354, '', '')
export const willKeep = reply(250, '2.1.5', 'ok, to be delivered when the back-end is up again')
export const spoolTrouble = {
  full: reply(452, '4.3.1', 'not taken by all back-ends, and no room to keep the rest'),
  failed: reply(451, '4.3.0', 'not taken by all back-ends, and the rest cannot be kept'),
} as const

export function queued(ids: string): Reply {
  return reply(250, '2.0.0', `ok, queued as ${ids}`)
}

export const notTried: BackEndFailure = {
  step: 'connect',
  reason: 'refused',
  detail: 'not tried, after several failures in a row',
  isShutdown: false,
}
/** The back-end is left, since it must not have what is under way to it. */
export const beingMoved: BackEndFailure = {
  step: 'session',
  reason: 'closed',
  detail: 'left, since a mailbox is being moved',
  isShutdown: false,
}
export const noRoom: BackEndFailure = {
  step: 'connect',
  reason: 'timeout',
  detail: 'as many connections as are allowed, and none became free',
  isShutdown: false,
}

/** There is no room on this side. */
function isOurs(failure: BackEndFailure): boolean {
  return failure === noRoom || failure.reason === 'no_descriptor'
}

export function isBeforeReady({ step }: BackEndFailure): boolean {
  return step === 'connect' || step === 'tls' || step === 'greeting' || step === 'hello'
}

/** Whether others should be spared it: it does not serve, or hangs before it has to do any work. */
export function isOutage(failure: BackEndFailure): boolean {
  if (failure === notTried || failure === beingMoved || isOurs(failure)) return false
  return isBeforeReady(failure) || (failure.step === 'envelope' && failure.reason === 'timeout')
}

/** What a client hears of a connection that failed before its message was complete. */
export function answerTo(failure: BackEndFailure): Reply {
  if (failure === beingMoved) return lost.moving
  if (isOurs(failure)) return lost.busy
  if (isBeforeReady(failure)) return lost.unreachable
  if (failure.isShutdown) return lost.stopping
  const isNonsense = failure.reason === 'desync' || failure.reason === 'bad_reply'
  return isNonsense ? lost.confused : lost.broken
}

/** Nobody is given up for lost, and nobody is told of a success that was not one. */
export function worstOf(replies: readonly Reply[]): Reply {
  for (const wanted of ['temporary', 'permanent', 'success'] as const) {
    const found = replies.find((reply) => classOf(reply) === wanted)
    if (found !== undefined) return found
  }
  return lost.confused
}
