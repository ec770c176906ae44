/** What a client hears when several answers of a back-end make one, or when it gave none. */
import { classOf, type Reply, reply } from '../mail/reply.ts'
import type { BackEndFailure } from '../protocol/smtp/back-end-action.ts'

export const tooMany = reply(452, '4.5.3', 'send this recipient in another transaction')
export const lost = {
  unreachable: reply(451, '4.4.1', 'the back-end of this recipient cannot be reached'),
  broken: reply(451, '4.4.2', 'the connection to the back-end was lost, try again later'),
  stopping: reply(451, '4.3.2', 'the back-end is shutting down, try again later'),
  confused: reply(451, '4.3.0', 'the back-end gave no sense, try again later'),
} as const
export const noRecipients = reply(554, '5.5.1', 'no valid recipients')
export const goAhead = reply(354, '', '')
export const notTried: BackEndFailure = {
  step: 'connect',
  reason: 'refused',
  detail: 'not tried, after several failures in a row',
  isShutdown: false,
}

export function isBeforeReady({ step }: BackEndFailure): boolean {
  return step === 'connect' || step === 'tls' || step === 'greeting' || step === 'hello'
}

/** What a client hears of a connection that failed before its message was complete. */
export function answerTo(failure: BackEndFailure): Reply {
  if (isBeforeReady(failure)) return lost.unreachable
  if (failure.isShutdown) return lost.stopping
  const isNonsense = failure.reason === 'desync' || failure.reason === 'bad_reply'
  return isNonsense ? lost.confused : lost.broken
}

/** An alias is accepted when one of its members is. */
export function bestOf(replies: readonly Reply[]): Reply {
  return pick(replies, ['success', 'temporary', 'permanent'])
}

/** Nobody is given up for lost, and nobody is told of a success that was not one. */
export function worstOf(replies: readonly Reply[]): Reply {
  return pick(replies, ['temporary', 'permanent', 'success'])
}

function pick(replies: readonly Reply[], order: readonly ReturnType<typeof classOf>[]): Reply {
  for (const wanted of order) {
    const found = replies.find((reply) => classOf(reply) === wanted)
    if (found !== undefined) return found
  }
  return lost.confused
}
