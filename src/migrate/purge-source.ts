/**
 * Takes away what a user has left behind: only messages that a row names, which were compared with
 * their copies before the flip, once more now (check-copies.ts), or brought over since, and folders
 * that are empty then. What anybody
 * has put there besides stays, and is told of.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import type { CopiedFolder, CopyJournal } from '../map/state/copy-journal.ts'
import type { Move } from '../map/state/move-journal.ts'
import { Refusal, selectableIn } from './imap-answers.ts'
import { ImapMailbox } from './imap-mailbox.ts'
import { UidSet } from './uid-set.ts'

export interface PurgeReport {
  readonly purged: number
  /** What is there still, and why. */
  readonly problems: readonly string[]
}

export interface PurgeOptions {
  readonly journal: CopyJournal
  /** By name of a folder: why its messages have to stay. */
  readonly stays: ReadonlyMap<string, string>
  readonly signal: AbortSignal
}

/** Throws what connections throw. It may be ended anywhere, and done again. */
export async function purgeSource(
  { user, source, target }: Pick<Move, 'user' | 'source' | 'target'>,
  access: MailboxAccess,
  { journal, stays, signal }: PurgeOptions,
): Promise<PurgeReport> {
  await using mailbox = await ImapMailbox.open(access, signal)
  const known = journal.folders(journal.mailbox({ user, source, target }))
  const list = await mailbox.list()
  const there = selectableIn(list)
  const problems: string[] = []
  let purged = 0
  // Folders within others first.
  const deepest = known.toSorted((one, other) => other.sourceName.length - one.sourceName.length)
  for (const folder of deepest) {
    if (!there.has(folder.sourceName)) continue
    const reason = stays.get(folder.sourceName)
    if (reason !== undefined) {
      problems.push(`${folder.sourceName} stays: ${reason}`)
      continue
    }
    try {
      const gone = await purgeFolder(mailbox, folder, journal)
      if (typeof gone === 'number') purged += gone
      else problems.push(gone)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      problems.push(`${folder.sourceName}: ${error.message}`)
    }
  }
  const names = new Set(known.map(({ sourceName }) => sourceName))
  for (const name of there) {
    const isEmpty = list.states.get(name)?.messages === 0
    if (!names.has(name) && !isEmpty) problems.push(`${name}: it was never copied`)
  }
  return { purged, problems }
}

/** How many messages went, or why the folder stays as it is. */
async function purgeFolder(
  mailbox: ImapMailbox,
  folder: CopiedFolder,
  journal: CopyJournal,
): Promise<number | string> {
  const { sourceName } = folder
  const { state } = await mailbox.select(sourceName, 'write')
  if (state.uidValidity !== folder.sourceValidity) return `${sourceName}: it was numbered anew`
  const there = await mailbox.uids()
  const left = there.minus(UidSet.of(journal.sourceUids(folder)))
  if (!left.isEmpty) return `${sourceName}: ${left.size} messages were never copied`
  if (!there.isEmpty) await mailbox.expunge(there)
  if (sourceName.toUpperCase() !== 'INBOX') {
    // It would go with the folder.
    const { state: left } = await mailbox.select(sourceName, 'write')
    if (left.messages > 0) return `${sourceName}: messages came while it was purged`
    await mailbox.remove(sourceName)
    await mailbox.subscribe(sourceName, false)
  }
  return there.size
}
