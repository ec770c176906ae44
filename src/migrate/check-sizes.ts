/** Whether the target takes the largest messages, before any is copied. RFC 7889. */
import { counted } from '../base/counted.ts'
import { MailmuxError } from '../base/error.ts'
import type { MailboxCopy } from './copy-mailbox.ts'
import { Refusal, selectableIn } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import type { MailboxLook } from './mailbox-look.ts'
import { describeBytes } from './migration-report.ts'

/**
 * What will be left behind, for a person; nothing where the target tells of no limit. Throws
 * TOO_MANY_BAD where that is more than may be, and what connections throw.
 */
export async function checkSizes(
  copy: MailboxCopy,
  { source: list }: Pick<MailboxLook, 'source'>,
  { user, maxBad }: { readonly user: string; readonly maxBad: number },
): Promise<readonly string[]> {
  const { source, target } = copy.session
  const { appendLimitBytes } = target
  if (appendLimitBytes === undefined) return []
  let total = 0
  const where: string[] = []
  for (const folder of selectableIn(list)) {
    if (list.states.get(folder)?.messages === 0) continue
    const size = await countLarger(source, folder, appendLimitBytes)
    if (size > 0) where.push(`${folder}: ${size}`)
    total += size
  }
  if (total === 0) return []
  const limit = `${target.server} takes none of more than ${describeBytes(appendLimitBytes)}`
  const what = `${counted(total, 'message')} too large (${where.join(', ')}): ${limit}`
  if (total > maxBad) throw new MailmuxError('TOO_MANY_BAD', `${user}: ${what}`)
  return [what]
}

/** None of a folder that cannot be read by now: what becomes of that, a pass finds out. */
async function countLarger(source: ImapMailbox, folder: string, bytes: number): Promise<number> {
  try {
    await source.select(folder, 'read')
    return (await source.largerThan(bytes)).size
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    return 0
  }
}
