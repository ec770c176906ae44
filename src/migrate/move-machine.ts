/**
 * The machine of a move, pure: where it is and what has happened → where it is then and what is to be
 * done. The driver writes each step down before it does what the step asks for, and the next one
 * after, so that a run that is killed anywhere is gone on with from its last step:
 *
 * - Before the flip the user lives at the source. Whatever fails, or is found on the way, leads to
 *   the end of the freeze at the source; another run begins with a look and short passes. A step
 *   within a freeze is never gone on with: how long nobody watched over it is not known.
 * - The flip writes its own step, in the transaction that gives the user the other home.
 * - After it there is no way back. Whatever fails is done again by the next run.
 */
import type { MoveStep } from '../map/state/move-journal.ts'

/** As an error has it: a code of the catalogue, and a text. */
export interface Failure {
  readonly code: string
  readonly message: string
}

export interface MoveState {
  readonly step: MoveStep
  /** Passes in a row that were hardly quicker than those before. */
  readonly slow: number
  /** How long the last pass took; milliseconds. */
  readonly passMs: number | undefined
  /** Verifications that found a difference, and freezes that were not whole. */
  readonly mismatches: number
  readonly disturbances: number
  /** The freeze is ended to give the move up, and not to try again. */
  readonly isAborting: boolean
  /** Why it stops, or has stopped. */
  readonly failure: Failure | undefined
}

export type MoveEvent =
  /** The command was run, to go on or to give up. */
  | { readonly kind: 'begun' | 'aborted' }
  | { readonly kind: 'looked' | 'frozen' | 'settled' | 'flipped' | 'thawed' | 'swept' }
  /** isEarly: it is not to be frozen yet. */
  | { readonly kind: 'passed'; readonly ms: number; readonly isEarly?: boolean }
  /** It has waited for as long as it was to. */
  | { readonly kind: 'waited' }
  | { readonly kind: 'verified'; readonly isEqual: boolean }
  /** The mailbox was not frozen all the time, or has changed all the same. */
  | { readonly kind: 'disturbed' }
  /** isEarly: there is time to try again. */
  | { readonly kind: 'failed'; readonly failure: Failure; readonly isEarly?: boolean }

export type MoveAction =
  | 'look'
  | 'pass'
  | 'wait'
  | 'freeze'
  | 'settle'
  | 'verify'
  | 'flip'
  | 'thaw'
  | 'sweep'
  | 'end'

/** Milliseconds. */
export interface MoveBudget {
  /** A pass that takes no longer is short enough for a freeze. */
  readonly targetMs: number
  readonly limitMs: number
}

/** Passes that bring it no nearer before it is frozen all the same. */
const mostSlow = 3
/** A pass is quicker than another where it takes less than this part of its time. */
const quicker = 0.8
const mostMismatches = 3
const mostDisturbances = 5

export function stateAt(step: MoveStep): MoveState {
  return {
    step,
    slow: 0,
    passMs: undefined,
    mismatches: 0,
    disturbances: 0,
    isAborting: false,
    failure: undefined,
  }
}

/** Whether nothing may change the mailbox in this step. */
export function isFrozen(step: MoveStep): boolean {
  return step === 'freezing' || step === 'settling' || step === 'verifying' || step === 'flipping'
}

/** Whether the user lives at the target. */
export function isFlipped(step: MoveStep): boolean {
  return !isFrozen(step) && !beforeFreeze.has(step)
}

const beforeFreeze: ReadonlySet<MoveStep> = new Set([
  'planned',
  'copying',
  'waiting',
  'giving_up',
  'stopped',
  'aborted',
])

/** Whether there is nothing more to do, but to purge. */
export function isOver(step: MoveStep): boolean {
  return over.has(step)
}

const over: ReadonlySet<MoveStep> = new Set(['kept', 'purging', 'purged', 'ended', 'aborted'])

export function step(
  state: MoveState,
  event: MoveEvent,
  budget: MoveBudget,
): [MoveState, MoveAction] {
  switch (event.kind) {
    case 'begun':
      return begin(state)
    case 'aborted':
      return abort(state)
    case 'looked':
      return [{ ...state, step: 'copying' }, 'pass']
    case 'passed':
      return afterPass(state, event, budget)
    case 'waited':
      return [again(state), 'pass']
    case 'frozen':
      return [{ ...state, step: 'settling' }, 'settle']
    case 'settled':
      return [{ ...state, step: 'verifying' }, 'verify']
    case 'verified':
      return event.isEqual ? [{ ...state, step: 'flipping' }, 'flip'] : afterMismatch(state)
    case 'disturbed':
      return afterDisturbance(state)
    case 'flipped':
      return [{ ...state, step: 'flipped' }, 'thaw']
    case 'thawed':
      return afterThaw(state)
    case 'swept':
      return [{ ...state, step: 'kept' }, 'end']
    case 'failed':
      return afterFailure(state, event)
    default:
      return event satisfies never
  }
}

function begin(state: MoveState): [MoveState, MoveAction] {
  const { step: at } = state
  if (at === 'flipped') return [state, 'thaw']
  if (at === 'sweeping') return [state, 'sweep']
  if (isOver(at)) return [state, 'end']
  if (isFrozen(at) || at === 'giving_up') return [{ ...state, step: 'giving_up' }, 'thaw']
  return [{ ...state, step: 'planned' }, 'look']
}

function abort(state: MoveState): [MoveState, MoveAction] {
  if (!isFlipped(state.step) && state.step !== 'aborted') {
    return [{ ...state, step: 'giving_up', isAborting: true }, 'thaw']
  }
  const message = 'the user lives at the target: a move that is done is not undone'
  const failure = { code: 'MOVE_FLIPPED', message }
  return [state.step === 'aborted' ? state : { ...state, failure }, 'end']
}

function afterPass(
  state: MoveState,
  { ms, isEarly = false }: Extract<MoveEvent, { kind: 'passed' }>,
  { targetMs, limitMs }: MoveBudget,
): [MoveState, MoveAction] {
  const { passMs } = state
  const slow = passMs !== undefined && ms > passMs * quicker ? state.slow + 1 : 0
  const next = { ...state, slow, passMs: ms }
  if (ms > targetMs && slow < mostSlow) return [next, 'pass']
  if (isEarly) return [{ ...next, step: 'waiting' }, 'wait']
  if (ms <= limitMs) return [{ ...next, step: 'freezing' }, 'freeze']
  const message = `a pass takes ${ms} ms, which is longer than a freeze may take (${limitMs} ms)`
  return [{ ...next, step: 'stopped', failure: { code: 'MOVE_OVER_BUDGET', message } }, 'end']
}

function afterMismatch(state: MoveState): [MoveState, MoveAction] {
  const mismatches = state.mismatches + 1
  const next = { ...state, mismatches }
  if (mismatches < mostMismatches) return [{ ...next, step: 'settling' }, 'settle']
  const message = `the copy differs from the mailbox, found ${mismatches} times`
  return giveUp(next, { code: 'MOVE_UNEQUAL', message })
}

function afterDisturbance(state: MoveState): [MoveState, MoveAction] {
  const disturbances = state.disturbances + 1
  const next = { ...state, disturbances }
  if (disturbances < mostDisturbances) return [{ ...next, step: 'settling' }, 'settle']
  const message = `the mailbox changed although it was frozen, ${disturbances} times`
  return giveUp(next, { code: 'MOVE_UNFROZEN', message })
}

function giveUp(state: MoveState, failure: Failure): [MoveState, MoveAction] {
  return [{ ...state, step: 'giving_up', failure }, 'thaw']
}

function afterThaw(state: MoveState): [MoveState, MoveAction] {
  if (state.step === 'flipped') return [{ ...state, step: 'sweeping' }, 'sweep']
  if (state.isAborting) return [{ ...state, step: 'aborted' }, 'end']
  if (state.failure !== undefined) return [{ ...state, step: 'stopped' }, 'end']
  return [{ ...state, step: 'planned' }, 'look']
}

/** What was found before it waited is long ago. */
function again(state: MoveState): MoveState {
  return { ...state, step: 'copying', slow: 0, passMs: undefined, failure: undefined }
}

function afterFailure(
  state: MoveState,
  { failure, isEarly = false }: Extract<MoveEvent, { kind: 'failed' }>,
): [MoveState, MoveAction] {
  const { step: at } = state
  if (isEarly && at === 'copying') return [{ ...state, step: 'waiting', failure }, 'wait']
  if (isFrozen(at)) return giveUp(state, failure)
  // It was asked for; where the answer is lost, the freeze ends by itself.
  if (at === 'giving_up' && state.failure !== undefined)
    return [{ ...state, step: 'stopped' }, 'end']
  if (at === 'planned' || at === 'copying' || at === 'waiting')
    return [{ ...state, step: 'stopped', failure }, 'end']
  return [{ ...state, failure }, 'end']
}
