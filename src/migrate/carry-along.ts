/**
 * What a mailbox that moves has beside its messages: Sieve scripts, rights of others and annotations,
 * and what POP3 clients know messages by. What cannot come along is told, and keeps nobody from moving: it stays at the source.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { Pop3Refusal } from '../backend/pop3-connection.ts'
import { type UidlOwner, UidlStore } from '../map/state/uidl-store.ts'
import { copyExtras, type ExtrasWork } from './copy-extras.ts'
import { copyScripts } from './copy-scripts.ts'
import { keepUidls, pruneUidls } from './keep-uidls.ts'
import type { UidlWork } from './read-uidls.ts'

/** What may change as long as the mailbox is used. Returns what is left behind, for a person. */
export async function carryWhileUsed(
  work: ExtrasWork,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const scripts = await copyScripts(work.ends, signal)
  const extras = await copyExtras(work)
  return [...scripts.problems, ...extras.notes]
}

/** For when the mailbox is at the target; likewise. */
export async function carryUidls(
  work: Omit<UidlWork, 'before'>,
  stateDir: string,
): Promise<readonly string[]> {
  const kept = await keepUidls(work, stateDir)
  return kept === undefined ? [] : [...kept.problems, ...kept.notes]
}

/** When the mailbox is at `owner.backend` for good: nothing is kept of other homes, or of what is gone. */
export async function forgetUidls(
  owner: UidlOwner,
  target: MailboxAccess,
  stateDir: string,
  signal: AbortSignal,
): Promise<void> {
  using store = await UidlStore.open(stateDir)
  store.dropOthers(owner)
  if (target.endpoints.pop3 === undefined) return
  try {
    await pruneUidls(owner, target, stateDir, signal)
  } catch (error) {
    // What is kept too long does no harm.
    if (!(error instanceof Pop3Refusal)) throw error
  }
}
