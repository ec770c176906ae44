/**
 * Makes one folder of the target hold what a folder of the source holds: in order, each message once,
 * with its date and flags. It may be killed anywhere and run again:
 *
 * - A row of the journal is written when the target has answered for a message. What was stored and
 *   has no row (the crash between the two) is at the target above the floor, named by no row: such
 *   messages are read there and known again by their hash before anything is added.
 * - An expunge, or a change of flags, is made at the target first, then written down; made twice it
 *   is the same.
 * - Only a pass that went to its end says what both folders were like, so that the next one may
 *   pass over what is as it was.
 *
 * Messages at the target that are not ours (below the floor, or left over when a pass has ended) are
 * never touched.
 */
import { counted } from '../base/counted.ts'
import type { CopiedFolder, CopiedMessage, CopyJournal } from '../map/state/copy-journal.ts'
import { copyMessages } from './copy-messages.ts'
import {
  emptyReport,
  findOrphans,
  type FolderContext,
  type FolderReport,
  type FolderWork,
  keepFlags,
} from './folder-work.ts'
import type { SelectedFolder } from './imap-answers.ts'
import { flagsIn, groupFlagChanges, keptFlags } from './plan-messages.ts'
import { UidSet } from './uid-set.ts'

/** Throws what the connections and the journal throw. */
export async function copyFolder(work: FolderWork): Promise<FolderReport> {
  const report = emptyReport(work.sourceName, work.targetName)
  const { session, journal, mailbox } = work
  const source = await session.source.select(work.sourceName, 'read')
  const target = await session.target.select(work.targetName, 'write')
  let folder = bind(work, source, target)
  // What is fetched with its flags now need not be asked for them again.
  const hadRows = journal.hasMessages(folder)
  const pool = await findOrphans(work, folder, target.state)
  const there = await session.source.uids()
  const known = UidSet.of(journal.sourceUids(folder))
  const context: FolderContext = { work, folder, target, pool, report }
  if (work.mirror) await expungeGone(context, known.minus(there))
  const before = work.mirror ? UidSet.empty : belowCursor(work)
  await copyMessages(context, there.minus(known).minus(before))
  report.isInOrder = work.appends.isInOrder(work.targetName)
  if (work.mirror) {
    await expungeTargets(context, journal.stale(folder))
    // Another connection has added them: until it selects anew, this one may not know them, and a
    // STORE of them does nothing, and is answered OK (Dovecot 2.3).
    if (hadRows && report.copied > 0) await session.target.select(work.targetName, 'write')
    if (hadRows) {
      await followFlags(context, source, there)
      await restoreFlags(context)
    }
  }
  const isWhole = report.bad === 0 && report.problems.length === 0
  // A selected folder may be told of as it was when it was selected.
  const { state } = await session.target.select(work.targetName, 'write')
  folder = journal.amend(mailbox, folder, {
    floor: Math.max(folder.floor, state.uidNext - 1),
    source: isWhole ? source.state : undefined,
    target: state,
    isVerified: false,
  })
  return report
}

/** What the last whole pass has seen: its copies may have been deleted at the target since. */
function belowCursor({ known }: FolderWork): UidSet {
  const next = known?.source?.uidNext ?? 1
  return next > 1 ? UidSet.parse(`1:${next - 1}`) : UidSet.empty
}

/** The row of this pair, made or put right for what the servers say now. */
function bind(
  { journal, mailbox, known, sourceName, targetName }: FolderWork,
  source: SelectedFolder,
  target: SelectedFolder,
): CopiedFolder {
  const sourceValidity = source.state.uidValidity
  const targetValidity = target.state.uidValidity
  if (known === undefined) {
    const floor = target.state.uidNext - 1
    const names = { sourceName, targetName }
    return journal.bind(mailbox, { ...names, sourceValidity, targetValidity, floor })
  }
  const folder =
    known.targetValidity === targetValidity
      ? known
      : journal.startAnew(mailbox, known, targetValidity)
  if (folder.sourceValidity === sourceValidity) return folder
  // Rows of the older one stay, to be known again by their hash.
  return journal.amend(mailbox, folder, { sourceValidity, source: undefined })
}

const rowsAtOnce = 1_000

async function expungeGone(context: FolderContext, gone: UidSet): Promise<void> {
  const { work, folder } = context
  for (const part of gone.chunks(rowsAtOnce)) {
    await expungeTargets(context, rowsOf(work.journal, folder, part))
  }
}

function rowsOf(journal: CopyJournal, folder: CopiedFolder, uids: UidSet): CopiedMessage[] {
  return uids.ranges.flatMap(([first, last]) => [...journal.messages(folder, first, last)])
}

async function expungeTargets(
  { work, folder, report }: FolderContext,
  rows: readonly CopiedMessage[],
): Promise<void> {
  if (rows.length === 0) return
  const { session, journal } = work
  if (!session.target.offers('UIDPLUS')) {
    report.problems.push(`${rows.length} messages are gone, and cannot be expunged without UIDPLUS`)
    return
  }
  const uids = rows.map(({ targetUid }) => targetUid).sort((one, other) => one - other)
  await session.target.expunge(UidSet.of(uids))
  // Some answer OK though they may not, or cannot: Dovecot where it may not write into a Maildir.
  const left = await session.target.uids()
  const gone = uids.filter((uid) => !left.has(uid))
  journal.forget(folder, gone)
  report.expunged += gone.length
  const stay = uids.length - gone.length
  if (stay > 0) report.problems.push(`${counted(stay, 'message')} could not be expunged`)
}

/** Asks only what has changed where both passes know a MODSEQ, else all. */
async function followFlags(
  context: FolderContext,
  { state }: SelectedFolder,
  there: UidSet,
): Promise<void> {
  const { work, folder } = context
  const since = folder.source?.modseq ?? ''
  if (since !== '' && since === state.modseq) return
  if (since !== '' && state.modseq !== '') {
    const changed = await work.session.source.changedFlags(since)
    const byUid = new Map(changed.map(({ uid, flags }) => [uid, flags]))
    const uids = UidSet.of([...byUid.keys()].sort((one, other) => one - other))
    for (const part of uids.chunks(rowsAtOnce)) await changeFlags(context, part, byUid)
    return
  }
  for (const part of there.chunks(rowsAtOnce)) {
    const found = await work.session.source.flags(part)
    await changeFlags(context, part, new Map(found.map(({ uid, flags }) => [uid, flags])))
  }
}

async function changeFlags(
  { work, folder, target, report }: FolderContext,
  part: UidSet,
  flagsOf: ReadonlyMap<number, string>,
): Promise<void> {
  const { journal, session } = work
  const changed = rowsOf(journal, folder, part).flatMap((row) => {
    const flags = flagsOf.get(row.sourceUid)
    return flags === undefined || flags === row.flags ? [] : [{ ...row, flags }]
  })
  const wanted = new Map(changed.map(({ targetUid, flags }) => [targetUid, flags]))
  for (const { uids, flags } of groupFlagChanges(wanted)) {
    const kept = keepFlags(flags, target, report)
    await session.target.setFlags(uids, kept)
  }
  journal.record(folder, changed)
  report.flagged += changed.length
}

/**
 * What somebody has changed at the target since the last pass, by looking at the copy with a mail
 * program, is put right: no pass would find it again, and every comparison.
 */
async function restoreFlags({ work, folder, target, report }: FolderContext): Promise<void> {
  const { journal, session } = work
  const since = folder.target?.modseq ?? ''
  if (since === '' || since === target.state.modseq) return
  const changed = await session.target.changedFlags(since)
  if (changed.length === 0) return
  const flagsOf = new Map(changed.map(({ uid, flags }) => [uid, flags]))
  const wanted = new Map<number, string>()
  for (const { targetUid, flags } of journal.messages(folder)) {
    const found = flagsOf.get(targetUid)
    const kept = keptFlags(flags, target.permanentFlags)
    if (found !== undefined && plain(kept) !== plain(flagsIn(found))) wanted.set(targetUid, flags)
  }
  for (const { uids, flags } of groupFlagChanges(wanted)) {
    await session.target.setFlags(uids, keepFlags(flags, target, report))
  }
  report.flagged += wanted.size
}

/** In one text, without case: RFC 9051 section 2.3.2. */
function plain(flags: readonly string[]): string {
  return flags
    .map((flag) => flag.toLowerCase())
    .sort()
    .join(' ')
}
