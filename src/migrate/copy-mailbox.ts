/**
 * The copy of one mailbox, pass by pass: each makes the target's folders hold what the source's hold
 * then. `user move` makes the same passes, the last of them while nothing may change the source.
 */
import type { CopiedFolder, CopyJournal, CopyRoute } from '../map/state/copy-journal.ts'
import type { BadMessages } from './bad-messages.ts'
import { CopyConnections } from './copy-connections.ts'
import { copyFolder } from './copy-folder.ts'
import type { CopyEnds, CopySession } from './copy-session.ts'
import { dropGone } from './drop-gone.ts'
import { type FolderPair, mapFolders } from './folder-map.ts'
import type { FolderReport } from './folder-work.ts'
import { Refusal } from './imap-answers.ts'
import { growthOf, isUnchanged, type MailboxLook } from './mailbox-look.ts'
import { type FolderRoom, makeFolder } from './make-folder.ts'
import { type Findings, type PassReport, reportOf, tellOf } from './pass-report.ts'
import { type BatchLimits, batchLimits } from './plan-messages.ts'
import { UidSet } from './uid-set.ts'

export interface MailboxPlan extends CopyRoute {
  readonly ends: CopyEnds
  /** Names at the target that somebody wants, by name at the source. */
  readonly renames: ReadonlyMap<string, string>
  /** Folders that are copied at a time, each over connections of its own. */
  readonly lanes: number
  /** Connections over which messages are added. */
  readonly appends: number
  readonly bad: BadMessages
  /** How much goes together, where it is not what serves best. */
  readonly batches?: BatchLimits | undefined
  readonly onProgress: (progress: { readonly messages: number; readonly bytes: number }) => void
  /** Told how many folders of a pass are through, of those in which something is to be done. */
  readonly onFolders?: (done: number, all: number) => void
}

export interface PassOptions {
  /** Flags and expunges of the source are followed; else only what came since the last pass is added. */
  readonly mirror: boolean
}

export class MailboxCopy implements AsyncDisposable {
  readonly plan: MailboxPlan
  readonly #journal: CopyJournal
  readonly #mailbox: number
  readonly #connections: CopyConnections
  /** Folders that were made here: names at the target, by those at the source. */
  readonly #made = new Map<string, string>()

  private constructor(plan: MailboxPlan, journal: CopyJournal, connections: CopyConnections) {
    this.plan = plan
    this.#journal = journal
    this.#mailbox = journal.mailbox(plan)
    this.#connections = connections
  }

  /** Waits for room at both ends. Throws as `CopySession.open` does. Nothing is changed. */
  static async open(
    plan: MailboxPlan,
    journal: CopyJournal,
    signal: AbortSignal,
  ): Promise<MailboxCopy> {
    const connections = await CopyConnections.open(plan.ends, plan.appends, signal)
    return new MailboxCopy(plan, journal, connections)
  }

  get session(): CopySession {
    return this.#connections.sessions[0]
  }

  /** Whether a folder of the source has another UIDVALIDITY by now than a pass has found. */
  isNumberedAnew({ source, pairs }: MailboxLook): boolean {
    const known = this.#known()
    return pairs.some(({ source: { name } }) => {
      const { uidValidity } = source.states.get(name) ?? {}
      const folder = known.get(name)
      return (
        uidValidity !== undefined && folder !== undefined && folder.sourceValidity !== uidValidity
      )
    })
  }

  /** Folders of both ends, and the names that belong together. Changes nothing. */
  async look(): Promise<MailboxLook> {
    const { session } = this
    const [source, target] = await Promise.all([session.source.list(), session.target.list()])
    const known = new Map(
      this.#journal
        .folders(this.#mailbox)
        .map(({ sourceName, targetName }) => [sourceName, targetName]),
    )
    const pairs = mapFolders({ source, target, known, wanted: this.plan.renames })
    return { source, target, pairs }
  }

  /** Whether a pass has come as far as a folder, in whatever run. */
  get isBegun(): boolean {
    return this.#journal.folders(this.#mailbox).length > 0
  }

  /** Whether messages at the target are there that no pass has put there. */
  hasForeign({ target }: MailboxLook): boolean {
    if (this.isBegun) return false
    return [...target.states.values()].some(({ messages }) => messages > 0)
  }

  /** Those that were not found equal since something happened in them. */
  unverified(look: MailboxLook): FolderPair[] {
    const known = this.#known()
    return look.pairs.filter((pair) => {
      const folder = known.get(pair.source.name)
      return folder?.isVerified !== true || !isUnchanged(pair, folder, look)
    })
  }

  /** Writes down that folders, by their names at the source, were found equal as `look` has them. */
  setVerified(look: MailboxLook, names: ReadonlySet<string>): void {
    const known = this.#known()
    for (const pair of look.pairs.filter(({ source }) => names.has(source.name))) {
      const folder = known.get(pair.source.name)
      if (folder !== undefined && isUnchanged(pair, folder, look)) {
        this.#journal.amend(this.#mailbox, folder, { isVerified: true })
      }
    }
  }

  /** UIDs at the target of messages that were copied from a folder. */
  copiesIn(sourceName: string): UidSet {
    const folder = this.#known().get(sourceName)
    return folder === undefined ? UidSet.empty : UidSet.of(this.#journal.targetUids(folder))
  }

  #known(): ReadonlyMap<string, CopiedFolder> {
    const folders = this.#journal.folders(this.#mailbox)
    return new Map(folders.map((folder) => [folder.sourceName, folder]))
  }

  /** Throws what connections and journal throw, TARGET_FULL and TOO_MANY_BAD: then run it again. */
  async pass(options: PassOptions): Promise<PassReport> {
    const look = await this.look()
    const known = this.#known()
    const findings: Findings = { notes: [], problems: [] }
    const room = roomOf(look)
    const waiting: FolderPair[] = []
    for (const pair of look.pairs) {
      const made = await this.#make(pair, room, findings)
      if (made !== undefined && !isUnchanged(made, known.get(pair.source.name), look)) {
        waiting.push(made)
      }
    }
    const folders = await this.#copyAll(waiting, known, options, findings)
    if (options.mirror) {
      const { target } = this.session
      const work = { target, journal: this.#journal, known, made: this.#made, findings }
      await dropGone(work, look)
    }
    return reportOf(folders, look.pairs.length - waiting.length, findings)
  }

  /**
   * Brings over what has come to the source since the last pass, and touches nothing else at the
   * target, where the user works by now. Throws as `pass` does.
   */
  async sweep(): Promise<PassReport> {
    const look = await this.look()
    const known = this.#known()
    const findings: Findings = { notes: [], problems: [] }
    const room = roomOf(look)
    const waiting: FolderPair[] = []
    for (const pair of look.pairs) {
      const { name } = pair.source
      const kind = growthOf(look.source.states.get(name), known.get(name)?.source)
      if (kind === 'renumbered') findings.problems.push(`${name}: it was numbered anew since`)
      if (kind !== 'grown') continue
      const made = pair.isNew ? await this.#make(pair, room, findings) : pair
      if (made !== undefined) waiting.push(made)
    }
    const folders = await this.#copyAll(waiting, known, { mirror: false }, findings)
    return reportOf(folders, look.pairs.length - waiting.length, findings)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]()
  }

  /** The pair with the name that the folder got; undefined where it could not be made. */
  async #make(
    pair: FolderPair,
    room: FolderRoom,
    findings: Findings,
  ): Promise<FolderPair | undefined> {
    const { target } = this.session
    try {
      const made = pair.isNew ? await makeFolder(target, pair, room, findings.notes) : pair
      const there = room.target.folders.find(({ name }) => name === made.target)
      if (there === undefined) this.#made.set(pair.source.name, made.target)
      if ((there?.isSubscribed ?? false) !== pair.source.isSubscribed) {
        await target.subscribe(made.target, pair.source.isSubscribed)
      }
      return made
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      findings.problems.push(
        `${pair.source.name}: ${target.server} does not take the folder: ${error.message}`,
      )
      return undefined
    }
  }

  async #copyAll(
    pairs: readonly FolderPair[],
    known: ReadonlyMap<string, CopiedFolder>,
    options: PassOptions,
    findings: Findings,
  ): Promise<FolderReport[]> {
    const reports: FolderReport[] = []
    const waiting = [...pairs]
    this.plan.onFolders?.(0, pairs.length)
    // The first failure ends the others, which would go on for long otherwise.
    const failed = new AbortController()
    const run = async (session: CopySession): Promise<void> => {
      for (let pair = waiting.shift(); pair !== undefined; pair = waiting.shift()) {
        failed.signal.throwIfAborted()
        try {
          const report = await this.#copyOne(session, pair, known.get(pair.source.name), options)
          reports.push(report)
          this.plan.onFolders?.(reports.length, pairs.length)
          tellOf(report, findings)
        } catch (error) {
          if (!(error instanceof Refusal)) throw error
          findings.problems.push(`${pair.source.name}: ${error.message}`)
        }
      }
    }
    const lanes = await this.#connections.lanes(Math.min(this.plan.lanes, pairs.length))
    const runs = lanes.map((session) =>
      run(session).catch((error: unknown) => {
        failed.abort(error)
        throw error
      }),
    )
    const ended = await Promise.allSettled(runs)
    const first = ended.find((one) => one.status === 'rejected')
    if (first !== undefined) throw failed.signal.reason as Error
    return reports
  }

  #copyOne(
    session: CopySession,
    { source, target }: FolderPair,
    known: CopiedFolder | undefined,
    { mirror }: PassOptions,
  ): Promise<FolderReport> {
    return copyFolder({
      session,
      appends: this.#connections.appends,
      journal: this.#journal,
      mailbox: this.#mailbox,
      sourceName: source.name,
      targetName: target,
      known,
      batches: this.plan.batches ?? batchLimits,
      mirror,
      onBad: (bad) => this.plan.bad.keep(bad),
      onProgress: (messages, bytes) => this.plan.onProgress({ messages, bytes }),
    })
  }
}

function roomOf({ target, pairs }: MailboxLook): FolderRoom {
  return { target, claimed: new Set(pairs.map((pair) => pair.target)) }
}
