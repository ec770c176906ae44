/** Brings one user's mailbox over: looks first, passes until nothing is left, verifies, and tries again. */
import type { Clock } from '../base/clock.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { CopyJournal } from '../map/state/copy-journal.ts'
import { lockMailbox } from '../map/state/mailbox-lock.ts'
import type { Ignorable } from '../map/state/move-journal.ts'
import { BadMessages } from './bad-messages.ts'
import { checkSizes } from './check-sizes.ts'
import { MailboxCopy, type MailboxPlan } from './copy-mailbox.ts'
import { copyExtras, type ExtrasReport, tellShared } from './copy-extras.ts'
import { checkLogins } from './check-logins.ts'
import { copyScripts, type ScriptsReport } from './copy-scripts.ts'
import type { CopyEnds } from './copy-session.ts'
import { keepUidls, type KeptUidls } from './keep-uidls.ts'
import { checkRoom, estimateOf } from './estimate.ts'
import type { MailboxLook } from './mailbox-look.ts'
import type { Estimate, UserReport } from './migration-report.ts'
import type { PassReport } from './pass-report.ts'
import type { BatchLimits } from './plan-messages.ts'
import { Tries } from './try-again.ts'
import { type MailboxVerdict, type VerifyMode, verifyMailbox } from './verify-mailbox.ts'

export interface MigrationOptions {
  readonly stateDir: string
  readonly from: string
  readonly to: string
  /** Only looks. */
  readonly dryRun: boolean
  /** Messages at the target that nobody has put there are no reason to stop. */
  readonly merge: boolean
  /** How many messages of a user may be left behind. */
  readonly maxBad: number
  /** changed: full, but only of folders in which something happened since that was done. */
  readonly verify: VerifyMode | 'changed' | 'none'
  readonly lanes: number
  readonly appends: number
  /** How much goes together, where it is not what serves best. */
  readonly batches?: BatchLimits
  readonly ignores: readonly Ignorable[]
  readonly renames: ReadonlyMap<string, string>
}

/** How far a user's copy has come. */
export interface Progress {
  readonly user: string
  readonly step: 'look' | 'copy' | 'verify'
  /** That were brought in this run. */
  readonly messages: number
  readonly bytes: number
  /** Messages that earlier runs have brought. */
  readonly before: number
  /** Of the pass that is under way. */
  readonly folders?: { readonly done: number; readonly all: number }
  readonly estimate: Estimate | undefined
}

export interface UserWork {
  readonly user: string
  readonly ends: CopyEnds
  readonly journal: CopyJournal
  readonly options: MigrationOptions
  readonly onProgress: (progress: Progress) => void
  readonly clock: Clock
  readonly signal: AbortSignal
}

/** Tries of a mailbox whose servers fail. */
const tries = { most: 4, firstWaitMs: 1_000 } as const
/** Rounds of copying and verifying, while the source changes. */
const rounds = 3

type Counts = { -readonly [Key in 'copied' | 'bytes' | 'passes']: UserReport[Key] }

/** Never throws for what happens to this user, but for the end of `signal`. */
export async function migrateUser(work: UserWork): Promise<UserReport> {
  const startedAt = performance.now()
  const counts: Counts = { copied: 0, bytes: 0, passes: 0 }
  const { user, options } = work
  const bad = new BadMessages(options.stateDir, user, options.maxBad)
  const told = { user, notes: [], problems: [] } as const
  try {
    using _lock = await lockMailbox(options.stateDir, user)
    const migration = new UserMigration(work, bad, counts)
    const trying = new Tries({ ...tries, clock: work.clock })
    for (;;) {
      try {
        const report = await migration.run()
        return { ...told, ...report, ...counts, bad: bad.found, ms: since(startedAt) }
      } catch (error) {
        // A server that was never reached is not waited for: there are other users.
        if (!migration.hasBegun && !isThrottled(error)) throw error
        await trying.after(error, work.ends, work.signal)
      }
    }
  } catch (error) {
    work.signal.throwIfAborted()
    const code = error instanceof MailmuxError ? error.code : 'INTERNAL'
    const failure = { code, message: messageOf(error) }
    const ms = since(startedAt)
    return { ...told, result: 'failed', ...counts, bad: bad.found, error: failure, ms }
  }
}

function isThrottled(error: unknown): boolean {
  return error instanceof MailmuxError && error.code === 'BACKEND_THROTTLED'
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt)
}

type Outcome = Pick<
  UserReport,
  | 'result'
  | 'estimate'
  | 'last_pass_ms'
  | 'notes'
  | 'problems'
  | 'scripts'
  | 'uidls'
  | 'extras'
  | 'verified'
>

class UserMigration {
  /** Both ends were reached. */
  hasBegun = false
  readonly #work: UserWork
  readonly #bad: BadMessages
  readonly #counts: Counts
  #seen: Omit<Progress, 'user' | 'step' | 'estimate'> = { messages: 0, bytes: 0, before: 0 }
  #estimate: Estimate | undefined
  #lastPassMs = 0

  constructor(work: UserWork, bad: BadMessages, counts: Counts) {
    this.#work = work
    this.#bad = bad
    this.#counts = counts
  }

  async run(): Promise<Outcome> {
    const { journal, options, signal } = this.#work
    this.#tell('look')
    await using copy = await MailboxCopy.open(this.#plan(), journal, signal)
    const { ends } = this.#work
    const isFirst = options.dryRun || !copy.isBegun
    if (isFirst) await checkLogins(ends, options.ignores, signal)
    this.hasBegun = true
    const look = await copy.look()
    const copied = journal.countMessages(copy.plan)
    // Those of a try before this one are counted there, too.
    this.#seen = { ...this.#seen, before: copied - this.#seen.messages }
    this.#estimate = await estimateOf(copy, look, options.dryRun ? copied : undefined)
    if (!options.merge && copy.hasForeign(look)) {
      const what = `${this.#work.user}: the mailbox at ${options.to} is not empty`
      throw new MailmuxError('TARGET_NOT_EMPTY', what)
    }
    await checkRoom(copy, this.#estimate, options.to)
    const told = isFirst ? await this.#tellFirst(copy, look) : []
    if (options.dryRun) {
      const renamed = look.pairs
        .filter(({ isRenamed }) => isRenamed)
        .map(({ source, target }) => `${source.name} will be called ${target}`)
      const notes = [...renamed, ...told]
      return { result: 'planned', estimate: this.#estimate, notes, problems: [] }
    }
    return await this.#copyAndVerify(copy, told)
  }

  /** What is to be known before anything is copied. */
  async #tellFirst(copy: MailboxCopy, look: MailboxLook): Promise<readonly string[]> {
    const { user, ends, options } = this.#work
    const sizes = await checkSizes(copy, look, { user, maxBad: options.maxBad })
    return [...sizes, ...(await tellShared(copy.session, { ends, pairs: look.pairs }))]
  }

  async #copyAndVerify(copy: MailboxCopy, told: readonly string[]): Promise<Outcome> {
    const { options } = this.#work
    const notes = new Set(told)
    const scripts = await this.#copyScripts()
    for (let round = 1; ; round++) {
      const pass = await this.#pass(copy)
      for (const note of pass.notes) notes.add(note)
      // What came while a long pass was under way is brought over before anything is compared.
      if (pass.copied > 0 && round === 1) await this.#pass(copy)
      const verified = options.verify === 'none' ? undefined : await this.#verify(copy)
      const isEqual = this.#isGood(verified) && pass.problems.length === 0
      if (!isEqual && round < rounds) continue
      const uidls = await this.#keepUidls(copy)
      const extras = await this.#copyExtras(copy)
      for (const note of [...uidls.notes, ...extras.notes]) notes.add(note)
      const isDone = isEqual && scripts.problems.length + uidls.problems.length === 0
      return {
        result: isDone ? 'done' : 'failed',
        ...(this.#estimate === undefined ? {} : { estimate: this.#estimate }),
        last_pass_ms: this.#lastPassMs,
        notes: [...notes],
        problems: [...pass.problems, ...scripts.problems, ...uidls.problems],
        scripts: scripts.copied,
        uidls: uidls.kept,
        extras: extras.changed,
        ...(verified === undefined ? {} : { verified }),
      }
    }
  }

  async #copyScripts(): Promise<ScriptsReport> {
    const { ends, options, signal } = this.#work
    if (options.ignores.includes('sieve')) return { copied: 0, problems: [] }
    return copyScripts(ends, signal)
  }

  async #keepUidls({ session }: MailboxCopy): Promise<KeptUidls> {
    const { user, ends, journal, options, signal } = this.#work
    const route = { user, source: options.from, target: options.to }
    const work = { route, ends, session, journal, signal }
    const isIgnored = options.ignores.includes('uidl')
    const kept = isIgnored ? undefined : await keepUidls(work, options.stateDir)
    return kept ?? { kept: 0, notes: [], problems: [] }
  }

  async #copyExtras(copy: MailboxCopy): Promise<ExtrasReport> {
    const { user, ends, options } = this.#work
    const route = { user, source: options.from, target: options.to }
    const { session } = copy
    const { pairs } = await copy.look()
    const { stateDir } = options
    return await copyExtras({ route, ends, session, pairs, stateDir, seen: new Map() })
  }

  async #pass(copy: MailboxCopy): Promise<PassReport> {
    this.#tell('copy')
    const startedAt = performance.now()
    const pass = await copy.pass({ mirror: true })
    this.#lastPassMs = since(startedAt)
    this.#counts.passes++
    this.#counts.copied += pass.copied
    this.#counts.bytes += pass.bytes
    return pass
  }

  async #verify(copy: MailboxCopy): Promise<MailboxVerdict> {
    this.#tell('verify')
    const { ends, options, signal } = this.#work
    const look = await copy.look()
    const pairs = options.verify === 'changed' ? copy.unverified(look) : look.pairs
    const mode = options.verify === 'fast' ? 'fast' : 'full'
    const onEqual = (source: string): void => {
      if (mode === 'full') copy.setVerified(look, new Set([source]))
    }
    return await verifyMailbox(ends, pairs, { mode, onEqual }, signal)
  }

  /** Only what was reported as bad may be missing, and only what was there before may be more. */
  #isGood(verdict: MailboxVerdict | undefined): boolean {
    return (verdict?.folders ?? []).every(({ source, missing, extra, differing, problem }) => {
      const left = new Set(
        this.#bad.found.filter(({ folder }) => folder === source).map(({ uid }) => uid),
      )
      const isComplete = missing.every(({ uid }) => left.has(uid))
      const isAlone = this.#work.options.merge || extra.length === 0
      return isComplete && isAlone && differing.length === 0 && problem === undefined
    })
  }

  #plan(): MailboxPlan {
    const { user, ends, options } = this.#work
    const { from, to, renames, lanes, appends, batches } = options
    return {
      user,
      source: from,
      target: to,
      ends,
      renames,
      lanes,
      appends,
      batches,
      bad: this.#bad,
      onProgress: ({ messages, bytes }) => {
        const seen = this.#seen
        const sums = { messages: seen.messages + messages, bytes: seen.bytes + bytes }
        this.#seen = { ...seen, ...sums }
        this.#tell('copy')
      },
      onFolders: (done, all) => {
        this.#seen = { ...this.#seen, folders: { done, all } }
        this.#tell('copy')
      },
    }
  }

  #tell(step: Progress['step']): void {
    const { user, onProgress } = this.#work
    onProgress({ user, step, ...this.#seen, estimate: this.#estimate })
  }
}
