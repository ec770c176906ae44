/** Writes down what POP3 clients of a copied mailbox know its messages by, for when it is at the target. */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { Pop3Connection, Pop3Refusal } from '../backend/pop3-connection.ts'
import { counted } from '../base/counted.ts'
import { MailmuxError } from '../base/error.ts'
import { type UidlOwner, UidlStore } from '../map/state/uidl-store.ts'
import { hasPop3, readUidls, type UidlWork } from './read-uidls.ts'

export interface KeptUidls {
  /** Messages that keep what clients know them by. */
  readonly kept: number
  /** What clients will notice, for a person. */
  readonly notes: readonly string[]
  /** Why there are none, likewise. */
  readonly problems: readonly string[]
}

/**
 * Undefined where one of the ends has no POP3. The table is in force as soon as the user's logins go to
 * the target. Throws what connections, journal and store throw, but for a login that is refused.
 */
export async function keepUidls(
  work: Omit<UidlWork, 'before'>,
  stateDir: string,
): Promise<KeptUidls | undefined> {
  const { user, source, target } = work.route
  if (!hasPop3(work.ends)) return undefined
  using store = await UidlStore.open(stateDir)
  try {
    const before = store.find({ user, backend: source })
    const { table, kept, unknown } = await readUidls({ ...work, before })
    store.put({ user, backend: target }, table)
    const anew = `POP3 clients will fetch ${counted(unknown, 'message')} anew`
    return { kept, notes: unknown > 0 ? [anew] : [], problems: [] }
  } catch (error) {
    const isRefused = error instanceof MailmuxError && error.code === 'BACKEND_LOGIN_REFUSED'
    if (!isRefused && !(error instanceof Pop3Refusal)) throw error
    return { kept: 0, notes: [], problems: [`POP3 UIDLs are not kept: ${error.message}`] }
  }
}

/**
 * Forgets what clients knew messages by that the back-end does not have any more; of a mailbox that has
 * none of them left, all. Throws what connections and store throw, and Pop3Refusal.
 */
export async function pruneUidls(
  owner: UidlOwner,
  access: MailboxAccess,
  stateDir: string,
  signal: AbortSignal,
): Promise<void> {
  using store = await UidlStore.open(stateDir)
  const table = store.find(owner)
  if (table === undefined) return
  using connection = await Pop3Connection.open(access, signal)
  const left = table.keeping(new Set((await connection.uidls()).values()))
  if (left?.text !== table.text) store.put(owner, left)
}
