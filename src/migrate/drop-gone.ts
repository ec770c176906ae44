/** Folders that the source has no more: what was copied of them goes, and they where that was all. */
import type { CopiedFolder, CopyJournal } from '../map/state/copy-journal.ts'
import { Refusal, selectableIn } from './imap-answers.ts'
import type { ImapMailbox } from './imap-mailbox.ts'
import type { MailboxLook } from './mailbox-look.ts'
import type { Findings } from './pass-report.ts'
import { UidSet } from './uid-set.ts'

export interface GoneWork {
  readonly target: ImapMailbox
  readonly journal: CopyJournal
  /** By name at the source. */
  readonly known: ReadonlyMap<string, CopiedFolder>
  /** Folders that were made here: names at the target, by those at the source. What is gone goes. */
  readonly made: Map<string, string>
  readonly findings: Findings
}

/** Throws what connections and journal throw. */
export async function dropGone(work: GoneWork, { source, target }: MailboxLook): Promise<void> {
  const { journal, known, made, findings } = work
  // One whose state the source does not tell is there still.
  const [here, there] = [selectableIn(source), selectableIn(target)]
  for (const folder of known.values()) {
    const { sourceName, targetName } = folder
    if (here.has(sourceName)) continue
    try {
      if (there.has(targetName)) await takeAway(work, folder)
      journal.drop(folder)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      const what = `${sourceName} is gone, and ${targetName} is there still: ${error.message}`
      findings.problems.push(what)
    }
  }
  for (const [sourceName, targetName] of made) {
    if (here.has(sourceName)) continue
    made.delete(sourceName)
    // It was gone before anything of it was written down.
    if (!known.has(sourceName) && there.has(targetName)) await removeEmpty(work, targetName)
  }
}

/** Throws Refusal. A folder that must stay without its messages is noted. */
async function takeAway(work: GoneWork, folder: CopiedFolder): Promise<void> {
  const { target, journal } = work
  const { state } = await target.select(folder.targetName, 'write')
  if (state.uidValidity !== folder.targetValidity) return
  await target.expunge(UidSet.of([...journal.targetUids(folder)]))
  await removeEmpty(work, folder.targetName)
}

async function removeEmpty({ target, findings }: GoneWork, name: string): Promise<void> {
  try {
    const { state } = await target.select(name, 'write')
    if (state.messages > 0 || name.toUpperCase() === 'INBOX') return
    await target.remove(name)
    await target.subscribe(name, false)
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    findings.notes.push(`${name} stays, and is empty: ${error.message}`)
  }
}
