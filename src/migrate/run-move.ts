/** Drives a move: writes each step down, does what it asks for, and tells the machine what came of it. */
import type { Clock } from '../base/clock.ts'
import { type ErrorCode, errorCatalogue, MailmuxError, messageOf } from '../base/error.ts'
import type { Move, MoveDetails, MoveStep } from '../map/state/move-journal.ts'
import type { MoveStepRow } from '../map/state/move-schema.ts'
import {
  type Failure,
  isFlipped,
  isFrozen,
  type MoveAction,
  type MoveBudget,
  type MoveEvent,
  type MoveState,
  stateAt,
  step,
} from './move-machine.ts'

export interface Copied {
  readonly copied: number
  readonly bytes: number
}

/** What is done to mailboxes and map. All of it throws what fails; `signal` ends what it is given to. */
export interface MoveWork {
  /** Both ends can be got into, and nothing stands in the way. */
  look(signal: AbortSignal): Promise<void>
  /** Makes the target like the source, and reads what is not verified yet. */
  pass(signal: AbortSignal): Promise<Copied>
  /**
   * Lets others at the mailbox until `until`, by the clock on the wall in milliseconds since 1970, and
   * while `isAwaited`; has it for itself again when it returns or throws. Throws TakenOver where it
   * cannot.
   */
  wait(until: number, isAwaited: () => boolean, signal: AbortSignal): Promise<void>
  /** Nothing may change the mailbox from now on. */
  freeze(epoch: number, signal: AbortSignal): Promise<void>
  /** Passes, until there is nothing left to do. */
  settle(signal: AbortSignal): Promise<Copied>
  verify(signal: AbortSignal): Promise<boolean>
  /** Gives the user the other home and writes `row`, as one; or throws. */
  flip(row: MoveStepRow, signal: AbortSignal): Promise<void>
  /** Ends the freeze, and whatever a flip has left to do. */
  thaw(epoch: number, isFlipped: boolean): Promise<void>
  /** How many messages came to the source since it was frozen, and are at the target now. */
  sweep(signal: AbortSignal): Promise<number>
}

/** Thrown by `settle`, `verify` and `flip`: it was not frozen all the time. */
export class Disturbed extends Error {}

/** Thrown by `wait`: another run works on the move. */
export class TakenOver extends Error {}

/** As `MoveJournal` has them. */
export interface MoveRecords {
  read(id: number): Move
  enter(move: Move, next: Partial<Pick<Move, 'step' | 'epoch' | 'details'>>): Move
}

export interface MoveRun {
  readonly move: Move
  readonly journal: MoveRecords
  readonly work: MoveWork
  readonly budget: MoveBudget
  readonly clock: Pick<Clock, 'wall'>
  /** Throws where it is too late to freeze the user. */
  readonly checkTime?: () => void
  /** False: it ends where it would wait for its time. */
  readonly waits?: boolean
  readonly signal: AbortSignal
  readonly onStep: (move: Move) => void
}

/** Goes on with a move until it is over or something fails; `details.error` says what. */
export async function runMove(run: MoveRun, order: 'begun' | 'aborted' = 'begun'): Promise<Move> {
  return await new Running(run).run({ kind: order })
}

/** While it waits, what has come is brought over so often, */
const passEveryMs = 3_600_000
/** once more so long before its time, or twice as long as that takes, */
const leadMs = 60_000
/** and so long after a back-end has failed. */
const retryMs = 300_000

class Running {
  readonly #run: MoveRun
  #move: Move
  #state: MoveState
  #frozenAt = 0
  #overBudget: AbortController | undefined
  #timer: NodeJS.Timeout | undefined

  constructor(run: MoveRun) {
    this.#run = run
    this.#move = run.move
    this.#state = stateAt(run.move.step)
  }

  async run(first: MoveEvent): Promise<Move> {
    try {
      for (let event = first; ; ) {
        const [state, action] = step(this.#state, event, this.#run.budget)
        this.#enter(state, event)
        if (action === 'end') return this.#move
        if (action === 'wait' && this.#run.waits === false) return this.#move
        event = await this.#perform(action)
      }
    } catch (error) {
      if (error instanceof TakenOver) return this.#run.journal.read(this.#move.id)
      throw error
    } finally {
      clearTimeout(this.#timer)
    }
  }

  /** Writes the step down. A flip has written its own. */
  #enter(state: MoveState, event: MoveEvent): void {
    const before = this.#state.step
    this.#state = state
    const isBegun = state.step === 'freezing' && before !== 'freezing'
    const isNew = isBegun || (state.step === 'giving_up' && before !== 'giving_up')
    const epoch = isNew ? this.#move.epoch + 1 : this.#move.epoch
    if (isBegun) this.#startClock()
    const { error: _, ...rest } = this.#move.details
    const details: MoveDetails = {
      ...rest,
      ...(isBegun ? { freezes: rest.freezes + 1 } : {}),
      ...(state.failure === undefined ? {} : { error: state.failure }),
    }
    if (event.kind === 'flipped') this.#move = this.#run.journal.read(this.#move.id)
    else this.#move = this.#run.journal.enter(this.#move, { step: state.step, epoch, details })
    this.#run.onStep(this.#move)
  }

  #startClock(): void {
    this.#frozenAt = performance.now()
    const over = new AbortController()
    this.#overBudget = over
    this.#timer = setTimeout(() => over.abort(), this.#run.budget.limitMs)
  }

  async #perform(action: Exclude<MoveAction, 'end'>): Promise<MoveEvent> {
    try {
      // A freeze is ended whatever happens.
      if (action !== 'thaw') this.#run.signal.throwIfAborted()
      return await this.#do(action)
    } catch (error) {
      // An answer that was lost on the way does not say that it was not done.
      if (action === 'flip' && this.#isFlipped()) return { kind: 'flipped' }
      if (error instanceof TakenOver) throw error
      if (error instanceof Disturbed) return { kind: 'disturbed' }
      const failure = this.#failureOf(error)
      const mayPass = errorCatalogue[failure.code as ErrorCode].exit === 75
      const isEarly = this.#isEarly && mayPass && !this.#run.signal.aborted
      return { kind: 'failed', failure, isEarly }
    }
  }

  #isFlipped(): boolean {
    return isFlipped(this.#run.journal.read(this.#move.id).step)
  }

  async #do(action: Exclude<MoveAction, 'end'>): Promise<MoveEvent> {
    const { work, signal } = this.#run
    const frozen = this.#signal()
    switch (action) {
      case 'look':
        await work.look(signal)
        return { kind: 'looked' }
      case 'pass':
        return await this.#pass()
      case 'wait':
        return await this.#wait()
      case 'freeze':
        await work.freeze(this.#move.epoch, frozen)
        return { kind: 'frozen' }
      case 'settle':
        this.#count(await work.settle(frozen))
        return { kind: 'settled' }
      case 'verify':
        return { kind: 'verified', isEqual: await work.verify(frozen) }
      case 'flip':
        await work.flip(this.#flippedRow(), frozen)
        return { kind: 'flipped' }
      case 'thaw':
        return await this.#thaw()
      case 'sweep':
        return await this.#sweep()
      default:
        return action satisfies never
    }
  }

  /** Of what is done in a freeze: interrupted, or over its budget. */
  #signal(): AbortSignal {
    const { signal } = this.#run
    return this.#overBudget === undefined
      ? signal
      : AbortSignal.any([signal, this.#overBudget.signal])
  }

  async #pass(): Promise<MoveEvent> {
    const startedAt = performance.now()
    const copied = await this.#run.work.pass(this.#run.signal)
    this.#count(copied)
    this.#run.checkTime?.()
    const ms = Math.round(performance.now() - startedAt)
    return { kind: 'passed', ms, isEarly: this.#isEarly }
  }

  get #isEarly(): boolean {
    const { at } = this.#move.details
    return at !== undefined && this.#run.clock.wall() < at
  }

  async #wait(): Promise<MoveEvent> {
    const { journal, work, signal } = this.#run
    const { id } = this.#move
    let failed: { readonly error: unknown } | undefined
    const isAwaited = (): boolean => journal.read(id).step === 'waiting'
    await work.wait(this.#until(), isAwaited, signal).catch((error: unknown) => {
      if (error instanceof TakenOver) throw error
      failed = { error }
    })
    // It may have been given up, gone on with, or put off meanwhile.
    const found = journal.read(id)
    if (found.step !== 'waiting') throw new TakenOver()
    this.#move = found
    if (failed !== undefined) throw failed.error
    return { kind: 'waited' }
  }

  /** When it is to be looked after again. */
  #until(): number {
    const { at = 0 } = this.#move.details
    const now = this.#run.clock.wall()
    const { failure, passMs = 0 } = this.#state
    if (failure !== undefined) return Math.min(now + retryMs, at)
    const before = at - Math.max(leadMs, passMs * 2)
    return before > now ? Math.min(now + passEveryMs, before) : at
  }

  #count({ copied, bytes }: Copied): void {
    const { details } = this.#move
    this.#change({
      passes: details.passes + 1,
      copied: details.copied + copied,
      bytes: details.bytes + bytes,
    })
  }

  /** Written with the next step. */
  #change(details: Partial<MoveDetails>): void {
    this.#move = { ...this.#move, details: { ...this.#move.details, ...details } }
  }

  #flippedRow(): MoveStepRow {
    const { id, epoch, details } = this.#move
    const freezeMs = Math.round(performance.now() - this.#frozenAt)
    const after: MoveDetails = { ...details, freezeMs, flippedAt: Date.now() }
    const flipped: MoveStep = 'flipped'
    return { move: id, epoch: epoch + 1, step: flipped, details: JSON.stringify(after) }
  }

  async #thaw(): Promise<MoveEvent> {
    const { step: at, epoch } = this.#move
    await this.#run.work.thaw(epoch, at === 'flipped')
    clearTimeout(this.#timer)
    this.#overBudget = undefined
    if (this.#frozenAt > 0) {
      this.#change({ freezeMs: Math.round(performance.now() - this.#frozenAt) })
    }
    return { kind: 'thawed' }
  }

  async #sweep(): Promise<MoveEvent> {
    const found = await this.#run.work.sweep(this.#run.signal)
    const { sweeps, stragglers } = this.#move.details
    this.#change({ sweeps: sweeps + 1, sweptAt: Date.now(), stragglers: stragglers + found })
    return { kind: 'swept' }
  }

  #failureOf(error: unknown): Failure {
    const { limitMs } = this.#run.budget
    if (this.#run.signal.aborted) return { code: 'MOVE_STOPPED', message: 'it was interrupted' }
    if (isFrozen(this.#state.step) && this.#overBudget?.signal.aborted === true) {
      const message = `the freeze took longer than ${limitMs} ms, and was ended`
      return { code: 'MOVE_OVER_BUDGET', message }
    }
    const code = error instanceof MailmuxError ? error.code : 'INTERNAL'
    return { code, message: messageOf(error) }
  }
}
