/** Whether a comparison says that a mailbox may be moved. */
import { counted } from '../base/counted.ts'
import type { BadMessages } from './bad-messages.ts'
import type { MailboxCopy } from './copy-mailbox.ts'
import type { MailboxVerdict } from './verify-mailbox.ts'

export interface Compared {
  readonly copy: Pick<MailboxCopy, 'copiesIn'>
  readonly bad: BadMessages
  readonly onNote: (note: string) => void
}

/**
 * Nothing of the source is missing, but for what may be. What is there besides has no row: it was
 * there before, or a run was killed between the storing of a message and the row, and the message
 * is gone at the source since. Whose it is nobody can tell any more, so it stays.
 */
export function isGoodCopy({ folders }: MailboxVerdict, { copy, bad, onNote }: Compared): boolean {
  return folders.every(({ source, target, missing, extra, differing, problem }) => {
    const left = bad.found.filter(({ folder }) => folder === source).map(({ uid }) => uid)
    const copied = copy.copiesIn(source)
    const isComplete = missing.every(({ uid }) => left.includes(uid))
    const others = extra.filter(({ uid }) => !copied.has(uid)).length
    if (others > 0) onNote(`${target}: ${counted(others, 'message')} there besides`)
    const isAlone = others === extra.length
    return isComplete && isAlone && differing.length === 0 && problem === undefined
  })
}
