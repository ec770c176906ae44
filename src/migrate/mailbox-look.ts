/** Both ends of a mailbox's copy at a time. */
import type { CopiedFolder, FolderState } from '../map/state/copy-journal.ts'
import type { FolderPair } from './folder-map.ts'
import { isSame } from './folder-work.ts'
import type { FolderList } from './imap-answers.ts'

/** What is where, and what belongs together. */
export interface MailboxLook {
  readonly source: FolderList
  readonly target: FolderList
  readonly pairs: readonly FolderPair[]
}

/** Both folders are as the last pass left them, and the source tells of flags that change. */
export function isUnchanged(
  { source, target }: FolderPair,
  known: CopiedFolder | undefined,
  look: MailboxLook,
): boolean {
  const here = look.source.states.get(source.name)
  const there = look.target.states.get(target)
  if (known?.source === undefined || known.target === undefined) return false
  if (here === undefined || there === undefined || here.modseq === '') return false
  return isSame(here, known.source) && isSame(there, known.target)
}

/** Whether messages may have come to a folder since a pass has seen it. */
export function growthOf(
  now: FolderState | undefined,
  seen: FolderState | undefined,
): 'grown' | 'as it was' | 'renumbered' {
  // Its state is not told: reading it says why.
  if (now === undefined) return 'grown'
  if (seen === undefined) return now.messages > 0 ? 'grown' : 'as it was'
  if (now.uidValidity !== seen.uidValidity) return 'renumbered'
  return now.uidNext > seen.uidNext ? 'grown' : 'as it was'
}

/** Equal where nothing that the server tells of has happened. */
export function describeStates({ states }: FolderList): string {
  return JSON.stringify([...states].sort(([one], [other]) => (one < other ? -1 : 1)))
}
