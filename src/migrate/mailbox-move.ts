/** What a move does to real mailboxes, the map and the daemon of the host. */
import { waitFor } from '../backend/wait-for.ts'
import type { Clock } from '../base/clock.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { checkFlip, flipUser, writeFlip } from '../map/edit/flip-user.ts'
import type { CopyJournal } from '../map/state/copy-journal.ts'
import type { Ignorable, Move } from '../map/state/move-journal.ts'
import type { MoveStepRow } from '../map/state/move-schema.ts'
import type { BadMessages } from './bad-messages.ts'
import { Barrier, endFreeze } from './barrier.ts'
import { CarriedAlong, carryUidls, forgetUidls } from './carry-along.ts'
import { checkLogins } from './check-logins.ts'
import { checkSizes } from './check-sizes.ts'
import type { MailboxCopy, MailboxPlan } from './copy-mailbox.ts'
import { tellShared } from './copy-extras.ts'
import type { CopyEnds } from './copy-session.ts'
import { isGoodCopy } from './good-copy.ts'
import { ImapMailbox } from './imap-mailbox.ts'
import { KnownMessages } from './known-messages.ts'
import { describeStates } from './mailbox-look.ts'
import { checkRoom, estimateOf } from './estimate.ts'
import { lookEveryMs, type MailboxHold } from './mailbox-hold.ts'
import type { Estimate } from './migration-report.ts'
import { isUntouched, type PassReport } from './pass-report.ts'
import { MoveCopy } from './move-copy.ts'
import { type Copied, Disturbed, type MoveWork, TakenOver } from './run-move.ts'
import { turnRound } from './turn-round.ts'
import { verifyMailbox } from './verify-mailbox.ts'
import { wholePass } from './whole-pass.ts'

export interface MailboxMoveOptions {
  readonly config: Config
  readonly move: Move
  readonly ends: CopyEnds
  readonly copies: CopyJournal
  /** Nothing has been copied the way back yet: what is known of it is of the way here. */
  readonly isToTurn: boolean
  readonly bad: BadMessages
  readonly lanes: number
  readonly clock: Clock
  readonly onProgress: MailboxPlan['onProgress']
  /** Let go of while it waits for its time. */
  readonly hold?: MailboxHold
  /** Told of what is otherwise than meant, and is no reason to stop. */
  readonly onNote: (note: string) => void
}

/** Passes within a freeze, until one has nothing to do. */
const mostPasses = 4
/** The user waits for it, and for rights of others and annotations. */
const lastQuestionMs = 5_000
const extrasMs = 2_000
/**
 * Tries of a pass before the freeze, where a back-end fails. What was sent to it may still be stored
 * for a moment after the connection is lost: whoever looked before that would send it again.
 */
const tries = { most: 3, firstWaitMs: 1_000 } as const
/** And in it, where a connection may be lost by now: Dovecot ends one whose folder is deleted. */
const twice = { most: 2, firstWaitMs: 500 } as const

export class MailboxMove implements MoveWork, AsyncDisposable {
  estimate: Estimate | undefined
  readonly #options: MailboxMoveOptions
  readonly #known = new KnownMessages()
  readonly #along: CarriedAlong
  readonly #copy: MoveCopy
  #isToTurn: boolean
  #barrier: Barrier | undefined
  /** What was at the source when it was found equal, and when that was, by the monotonic clock. */
  #settled = { states: '', at: 0 }

  constructor(options: MailboxMoveOptions) {
    this.#options = options
    const { move: route, ends, config, bad, lanes, onProgress, copies, clock } = options
    const { user, source, target } = route
    const ways = { renames: new Map<string, string>(), lanes, appends: lanes, bad, onProgress }
    this.#copy = new MoveCopy({ user, source, target, ends, ...ways }, copies, clock)
    const { stateDir } = config
    this.#along = new CarriedAlong({ route, ignores: this.#ignores, ends, stateDir })
    this.#isToTurn = options.isToTurn
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#barrier?.[Symbol.dispose]()
    await this.#copy[Symbol.asyncDispose]()
  }

  async look(signal: AbortSignal, isDryRun = false): Promise<void> {
    const { config, move, copies } = this.#options
    if (this.#isToTurn && !isDryRun) turnRound(copies, move)
    const copy = await this.#copy.open(signal)
    await checkLogins(this.#options.ends, this.#ignores, signal)
    const look = await copy.look()
    const route = this.#isToTurn ? { ...move, source: move.target, target: move.source } : move
    this.estimate = await estimateOf(copy, look, isDryRun ? copies.countMessages(route) : undefined)
    if (!move.merge && !move.isReturn && copy.hasForeign(look)) {
      const what = `${move.user}: the mailbox at ${move.target} is not empty`
      throw new MailmuxError('TARGET_NOT_EMPTY', what)
    }
    if (!copy.isBegun) this.#note(await checkSizes(copy, look, move))
    this.#note(await tellShared(copy.session, { ends: this.#options.ends, pairs: look.pairs }))
    await checkRoom(copy, this.estimate, move.target)
    await checkFlip(config, move)
    // What is refused is found before all else is copied; where there is no port, nothing is put.
    const { sieve } = this.#options.ends.target.endpoints
    if (!isDryRun || sieve === undefined) await this.#along.carryScripts(signal)
    this.#isToTurn = false
  }

  async pass(signal: AbortSignal): Promise<Copied> {
    return await this.#copy.trying(tries, signal, async (copy) => {
      const report = await this.#pass(copy)
      await this.#verify(signal)
      this.#note(await this.#along.carry(copy, signal))
      return report
    })
  }

  async wait(until: number, isAwaited: () => boolean, signal: AbortSignal): Promise<void> {
    const { clock, hold } = this.#options
    await this.#copy[Symbol.asyncDispose]()
    hold?.letGo()
    try {
      while (clock.wall() < until && isAwaited()) {
        await waitFor(clock, Math.min(lookEveryMs, until - clock.wall()), signal)
      }
      await hold?.takeWhenFree(clock, signal)
    } catch (error) {
      await hold?.takeAgain().catch(() => {
        throw new TakenOver()
      })
      throw error
    }
  }

  async freeze(epoch: number, signal: AbortSignal): Promise<void> {
    this.#setUrgent(true)
    this.#barrier?.[Symbol.dispose]()
    this.#barrier = await Barrier.raise(this.#freezeOf(epoch), signal)
  }

  async settle(signal: AbortSignal): Promise<Copied> {
    this.#raised().mark()
    return await this.#copy.trying(twice, signal, (copy) => this.#settle(copy, signal))
  }

  async #settle(copy: MailboxCopy, signal: AbortSignal): Promise<Copied> {
    let [copied, bytes] = [0, 0]
    for (let count = 0; count < mostPasses; count++) {
      const report = await this.#pass(copy)
      copied += report.copied
      bytes += report.bytes
      if (report.folders.every(isUntouched)) break
    }
    this.#note(await this.#along.carry(copy, signal, extrasMs))
    const { config, move: route, ends, copies: journal } = this.#options
    const work = { route, ends, session: copy.session, journal, signal }
    if (!this.#ignores.includes('uidl')) this.#note(await carryUidls(work, config.stateDir))
    const look = await copy.look()
    // A sweep would not know where to go on, and find nothing that comes there.
    if (copy.isNumberedAnew(look)) throw new Disturbed()
    this.#settled = { states: describeStates(look.source), at: this.#options.clock.now() }
    await this.#checkBarrier(signal)
    return { copied, bytes }
  }

  async verify(signal: AbortSignal): Promise<boolean> {
    const isFull = this.#options.move.verify === 'full'
    const isEqual = await this.#copy.trying(twice, signal, () => this.#verify(signal, isFull))
    const { config, clock, ends } = this.#options
    const quietMs = this.#settled.at + config.move.quietMs - clock.now()
    if (isEqual && quietMs > 0) await waitFor(clock, quietMs, signal)
    // The second look is that of a session which has not seen anything yet.
    await using source = await ImapMailbox.open(ends.source, signal)
    if (describeStates(await source.list()) !== this.#settled.states) throw new Disturbed()
    await this.#checkBarrier(signal)
    return isEqual
  }

  async flip(row: MoveStepRow, signal: AbortSignal): Promise<void> {
    const { config, move, onNote } = this.#options
    const look = await this.#copy.trying(twice, signal, (copy) => copy.look())
    if (describeStates(look.source) !== this.#settled.states) throw new Disturbed()
    await this.#checkBarrier(signal)
    const barrier = this.#raised()
    const check = (): void => {
      if (signal.aborted || !barrier.isSure) throw new Disturbed()
    }
    try {
      await flipUser(config, move, { move: row, check }, { warn: onNote, signal })
    } catch (error) {
      if ((error as Error).cause instanceof Disturbed) throw (error as Error).cause
      // The sources are edited by whoever comes next; the user has moved.
      if (!(error instanceof MailmuxError) || error.code !== 'MAP_CHANGE_UNFINISHED') throw error
      onNote(error.message)
    }
  }

  async thaw(epoch: number, isFlipped: boolean): Promise<void> {
    const { config, move, onNote } = this.#options
    if (isFlipped) await this.#endSessions()
    this.#barrier?.[Symbol.dispose]()
    this.#barrier = undefined
    await endFreeze(this.#freezeOf(epoch))
    this.#setUrgent(false)
    if (isFlipped) await writeFlip(config, move, { warn: onNote })
  }

  async sweep(signal: AbortSignal): Promise<number> {
    const copy = await this.#copy.open(signal)
    const { copied, problems } = await copy.sweep()
    this.#note([...problems, ...(await this.#along.carryRest(copy))])
    const { config, move, ends } = this.#options
    const home = { user: move.user, backend: move.target }
    await forgetUidls(home, ends.target, config.stateDir, signal)
    return copied
  }

  get #ignores(): readonly Ignorable[] {
    return this.#options.move.ignores ?? []
  }

  #note(notes: readonly string[]): void {
    for (const note of notes) this.#options.onNote(note)
  }

  /**
   * A daemon that was started in the moment of the flip may have let somebody in at the source. It is
   * asked once more, which ends such sessions; their mail is found by the sweep.
   */
  async #endSessions(): Promise<void> {
    try {
      await this.#barrier?.holds(AbortSignal.timeout(lastQuestionMs))
    } catch (error) {
      this.#options.onNote(messageOf(error))
    }
  }

  /** While the user waits, nothing waits for limits. */
  #setUrgent(isUrgent: boolean): void {
    const { source, target } = this.#options.ends
    for (const { share } of [source, target]) if (share !== undefined) share.isUrgent = isUrgent
  }

  #freezeOf(epoch: number): { runDir: string; user: string; epoch: number } {
    const { config, move } = this.#options
    return { runDir: config.runDir, user: move.user, epoch }
  }

  #raised(): Barrier {
    if (this.#barrier === undefined) throw new Disturbed()
    return this.#barrier
  }

  async #checkBarrier(signal: AbortSignal): Promise<void> {
    if (!(await this.#raised().holds(signal))) throw new Disturbed()
  }

  async #pass(copy: MailboxCopy): Promise<PassReport> {
    return await wholePass(copy, (notes) => this.#note(notes))
  }

  /** Reads what has not been, or all where that is wanted, and compares all of it. */
  async #verify(signal: AbortSignal, isFull = false): Promise<boolean> {
    const { ends } = this.#options
    const copy = await this.#copy.open(signal)
    const look = await copy.look()
    const pairs = isFull ? look.pairs : copy.unverified(look)
    const onEqual = (source: string): void => copy.setVerified(look, new Set([source]))
    const mode = isFull ? 'full' : this.#known
    const verdict = await verifyMailbox(ends, pairs, { mode, onEqual }, signal)
    return isGoodCopy(verdict, { ...this.#options, copy })
  }
}
