/**
 * Whether the new home still has what was copied there, before the originals are taken away: what its
 * user has deleted since is meant to be gone, a store that was lost or put back to an older state is not.
 */
import { counted } from '../base/counted.ts'
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import type { CopiedFolder, CopiedMessage, CopyJournal } from '../map/state/copy-journal.ts'
import type { Move } from '../map/state/move-journal.ts'
import { type FolderList, Refusal } from './imap-answers.ts'
import { ImapMailbox } from './imap-mailbox.ts'
import { readHashed } from './message-hash.ts'
import { UidSet } from './uid-set.ts'

/** By the name of a folder at the source: why its messages have to stay. Throws what connections throw. */
export async function checkCopies(
  { user, source, target }: Pick<Move, 'user' | 'source' | 'target'>,
  access: MailboxAccess,
  journal: CopyJournal,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string>> {
  await using mailbox = await ImapMailbox.open(access, signal)
  const list = await mailbox.list()
  const found = new Map<string, string>()
  for (const folder of journal.folders(journal.mailbox({ user, source, target }))) {
    const rows = new Map<number, CopiedMessage>()
    for (const row of journal.messages(folder)) rows.set(row.targetUid, row)
    if (rows.size === 0) continue
    try {
      const problem = await problemOf(mailbox, list, folder, rows)
      if (problem !== undefined) found.set(folder.sourceName, `${access.server}: ${problem}`)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      found.set(folder.sourceName, `${access.server}: ${folder.targetName}: ${error.message}`)
    }
  }
  return found
}

type Rows = ReadonlyMap<number, CopiedMessage>

/** `rows`: by UID at the target. */
async function problemOf(
  mailbox: ImapMailbox,
  { states }: FolderList,
  { targetName, targetValidity }: CopiedFolder,
  rows: Rows,
): Promise<string | undefined> {
  const numberedSo = [...states]
    .filter(([, { uidValidity }]) => uidValidity === targetValidity)
    .map(([name]) => name)
  if (numberedSo.includes(targetName)) {
    const { isOlder, other } = await compare(mailbox, targetName, rows)
    if (isOlder) return `${targetName} is as it was before messages were copied there`
    if (other === 0) return undefined
    const are = other === 1 ? 'that is' : 'that are'
    return `${targetName} has ${counted(other, 'message')} ${are} not what was copied there`
  }
  // One that its user has renamed keeps its numbers; but others may have been made in the same second.
  for (const name of numberedSo) {
    const { isOlder, same, other } = await compare(mailbox, name, rows)
    if (!isOlder && same > 0 && other === 0) return undefined
  }
  return `${targetName} is ${states.has(targetName) ? 'numbered anew' : 'not there'}`
}

/** How many copies are there still, and how many messages in their places that are others. */
async function compare(mailbox: ImapMailbox, name: string, rows: Rows) {
  const { state } = await mailbox.select(name, 'read')
  const uids = [...rows.keys()].sort((one, other) => one - other)
  let [same, other] = [0, 0]
  // RFC 9051 section 2.3.1.1: UIDNEXT never becomes smaller.
  const isOlder = state.uidNext <= (uids.at(-1) ?? 0)
  if (isOlder) return { isOlder, same, other }
  const copies = UidSet.of(uids)
  const gone = copies.minus(await mailbox.uids())
  for await (const { fetched, sha256 } of readHashed(mailbox, copies.minus(gone))) {
    if (rows.get(fetched.uid)?.sha256 === sha256) same++
    else other++
  }
  return { isOlder, same, other }
}
