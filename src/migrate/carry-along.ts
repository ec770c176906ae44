/**
 * What a mailbox that moves has beside its messages: Sieve scripts, rights of others and annotations,
 * and what POP3 clients know messages by. A script that cannot come along keeps its user from moving; of
 * the others it is told, and they stay at the source.
 */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { Pop3Refusal } from '../backend/pop3-connection.ts'
import { MailmuxError } from '../base/error.ts'
import type { CopyRoute } from '../map/state/copy-journal.ts'
import type { Ignorable } from '../map/state/move-journal.ts'
import { type UidlOwner, UidlStore } from '../map/state/uidl-store.ts'
import { wayOutOf } from './check-logins.ts'
import { copyExtras } from './copy-extras.ts'
import type { MailboxCopy } from './copy-mailbox.ts'
import { copyScripts } from './copy-scripts.ts'
import { keepUidls, pruneUidls } from './keep-uidls.ts'
import type { CopyEnds } from './copy-session.ts'
import type { UidlWork } from './read-uidls.ts'

export interface CarriedWork {
  readonly route: CopyRoute
  readonly ignores: readonly Ignorable[]
  readonly ends: CopyEnds
  readonly stateDir: string
}

/** What may change as long as the mailbox is used. Each call returns what is left behind, for a person. */
export class CarriedAlong {
  readonly #work: CarriedWork
  /** Rights and annotations as they were carried, by folder. */
  readonly #seen = new Map<string, string>()
  #isWhole = true

  constructor(work: CarriedWork) {
    this.#work = work
  }

  /** Throws MOVE_UNEQUAL where a script is not there, unless that is to be ignored. */
  async carryScripts(signal: AbortSignal): Promise<void> {
    const { ends, ignores } = this.#work
    if (ignores.includes('sieve')) return
    const { problems } = await copyScripts(ends, signal)
    if (problems.length === 0) return
    throw new MailmuxError('MOVE_UNEQUAL', `${problems.join('; ')}; ${wayOutOf('sieve')}`)
  }

  /**
   * Throws as `carryScripts` does. `limitMs`: rights and annotations for which there is no time are left
   * to `carryRest`.
   */
  async carry(
    copy: MailboxCopy,
    signal: AbortSignal,
    limitMs = Number.POSITIVE_INFINITY,
  ): Promise<readonly string[]> {
    await this.carryScripts(signal)
    return await this.#carryExtras(copy, limitMs)
  }

  /** When the user waits no more. What has not changed since `carry` is as the user has it by then. */
  async carryRest(copy: MailboxCopy): Promise<readonly string[]> {
    return this.#isWhole ? [] : await this.#carryExtras(copy, Number.POSITIVE_INFINITY)
  }

  async #carryExtras(copy: MailboxCopy, limitMs: number): Promise<readonly string[]> {
    const { pairs } = await copy.look()
    const until = performance.now() + limitMs
    const work = { ...this.#work, session: copy.session, pairs, seen: this.#seen, until }
    const { notes, isWhole } = await copyExtras(work)
    this.#isWhole = isWhole
    return notes
  }
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
