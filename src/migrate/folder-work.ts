/** What the copying of one folder works with, and what it tells of it. */
import type { CopiedFolder, CopyJournal, FolderState } from '../map/state/copy-journal.ts'
import type { AppendPool } from './append-pool.ts'
import type { BadMessage } from './bad-messages.ts'
import type { CopySession } from './copy-session.ts'
import type { SelectedFolder } from './imap-answers.ts'
import { MessagePool } from './message-pool.ts'
import { type BatchLimits, keptFlags } from './plan-messages.ts'
import { UidSet } from './uid-set.ts'

export interface FolderReport {
  readonly source: string
  readonly target: string
  /** Messages that were added, and their octets. */
  copied: number
  bytes: number
  /** Messages that were found to be there already, of a run that was ended. */
  found: number
  flagged: number
  expunged: number
  bad: number
  /** False: some messages that were added are at other places among them than at the source. */
  isInOrder: boolean
  /** Flags that the target does not keep. */
  readonly lostFlags: Set<string>
  /** What is not as it should be, for a person. */
  readonly problems: string[]
}

export interface FolderWork {
  readonly session: CopySession
  readonly appends: AppendPool
  readonly journal: CopyJournal
  /** The number of the mailbox in the journal. */
  readonly mailbox: number
  readonly sourceName: string
  readonly targetName: string
  readonly known: CopiedFolder | undefined
  /** How much goes together. */
  readonly batches: BatchLimits
  /** Flags and expunges of the source are followed; else only what came since the last pass is added. */
  readonly mirror: boolean
  /** Throws where there have been too many. */
  readonly onBad: (bad: BadMessage) => Promise<void>
  readonly onProgress: (messages: number, bytes: number) => void
}

export interface FolderContext {
  readonly work: FolderWork
  readonly folder: CopiedFolder
  readonly target: SelectedFolder
  /** Messages at the target that may be copies without a row, or of an older UIDVALIDITY. */
  readonly pool: MessagePool
  readonly report: FolderReport
}

export function emptyReport(source: string, target: string): FolderReport {
  const counts = { copied: 0, bytes: 0, found: 0, flagged: 0, expunged: 0, bad: 0 }
  return { source, target, ...counts, isInOrder: true, lostFlags: new Set(), problems: [] }
}

/**
 * Gathers messages at the target that have no row. Rows whose message is gone there are forgotten, so
 * that it is copied again, unless messages are only added: then somebody works there already, and
 * what he has expunged is not to come back.
 */
export async function findOrphans(
  { session, journal, mirror }: Pick<FolderWork, 'session' | 'journal' | 'mirror'>,
  folder: CopiedFolder,
  state: FolderState,
): Promise<MessagePool> {
  const pool = new MessagePool()
  const isAsItWas = folder.target !== undefined && isSame(folder.target, state)
  if (!isAsItWas) {
    const present = await session.target.uids()
    const named = UidSet.of(journal.targetUids(folder))
    const lost = named.minus(present)
    // Where the user works at the target, what is gone there is not to come again.
    if (mirror && !lost.isEmpty) journal.forget(folder, lost)
    const foreign = folder.floor > 0 ? UidSet.parse(`1:${folder.floor}`) : UidSet.empty
    await pool.read(session.target, present.minus(named).minus(foreign))
  }
  for (const row of journal.stale(folder)) pool.addCopy(row.sha256, row.targetUid, row.date)
  return pool
}

/** Nothing has happened there that a server tells of. */
export function isSame(one: FolderState, other: FolderState): boolean {
  return (
    one.uidValidity === other.uidValidity &&
    one.uidNext === other.uidNext &&
    one.messages === other.messages &&
    one.modseq === other.modseq
  )
}

/** Those that the target keeps; the others are reported. */
export function keepFlags(
  flags: string,
  { permanentFlags }: SelectedFolder,
  { lostFlags }: FolderReport,
): string[] {
  const kept = keptFlags(flags, permanentFlags)
  for (const flag of keptFlags(flags, undefined)) if (!kept.includes(flag)) lostFlags.add(flag)
  return kept
}
