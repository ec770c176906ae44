/** A queued message in words for a person. */
import { counted } from '../base/counted.ts'
import type { QueuedMessage, QueuedRecipient } from '../mail/queued-message.ts'

/** Why a message is kept aside. */
const reasons: Readonly<Record<string, string>> = {
  damaged: 'its file is damaged',
  not_a_file: 'it is no file',
  linked: 'its file is a link',
  wrong_owner: 'its file belongs to somebody else',
  unreadable: 'its file cannot be read',
  unsynced: 'the disk failed when it was written',
  poison: 'delivering it has ended the process again and again',
  double_bounce: 'it has no sender who could be told that it failed',
  unreportable: 'its sender cannot be told that it failed',
}

/** One line: what holds it up. */
export function describeState({ state, reason, recipients }: QueuedMessage): string {
  if (state === 'quarantined') {
    const [kind = ''] = (reason ?? '').split('.')
    return `kept aside: ${reasons[kind] ?? kind}`
  }
  if (reason !== undefined) return `cannot be read: ${reason}`
  if (state === 'active') return 'being delivered now'
  const owed = recipients.filter(({ result }) => result === 'owed')
  const [first] = owed
  if (first === undefined) {
    const isFailed = recipients.some(({ result }) => result === 'failed')
    return `its sender is to be told ${isFailed ? 'that it failed' : 'who has it'}`
  }
  const others = new Set(owed.map(({ text }) => text)).size - 1
  const more = others === 1 ? 'another reason' : `${others} other reasons`
  return others > 0 ? `${describeReason(first)}, and ${more}` : describeReason(first)
}

function describeReason({ code, status, text, backend }: QueuedRecipient): string {
  const said = [code, status, text].filter(Boolean).join(' ')
  return code === undefined ? said : `${backend ?? 'the back-end'} answered ${said}`
}

const results: Readonly<Record<QueuedRecipient['result'], string>> = {
  owed: 'waits',
  delivered: 'has it',
  failed: 'failed for good',
  removed: 'given up by an administrator',
}

/** All of it, a line each. */
export function describeQueued(message: QueuedMessage): string[] {
  const { id, sender, arrived, size, attempts, next, recipients } = message
  return [
    `${id}: ${describeState(message)}`,
    ...(sender === undefined ? [] : [`  from ${sender === '' ? '<> (a notification)' : sender}`]),
    ...(arrived === undefined ? [] : [`  came ${arrived}`]),
    `  ${counted(size, 'byte')}`,
    ...(attempts === undefined ? [] : [`  ${counted(attempts, 'attempt')}`]),
    ...(next === undefined ? [] : [`  next attempt ${next}`]),
    ...recipients.map((one) => `  ${one.address} ${results[one.result]}: ${describeReason(one)}`),
  ]
}
