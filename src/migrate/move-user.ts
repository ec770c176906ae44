/** `mailmux user move`: begins a move, goes on with one, or gives it up. */
import type { MailboxDoor } from '../backend/mailbox-access.ts'
import { MailmuxError } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { CopyJournal } from '../map/state/copy-journal.ts'
import { type Move, MoveJournal, type MovePlan } from '../map/state/move-journal.ts'
import { BadMessages, type ReportedBad } from './bad-messages.ts'
import { MailboxHold } from './mailbox-hold.ts'
import { MailboxMove, type MailboxMoveOptions } from './mailbox-move.ts'
import type { Estimate } from './migration-report.ts'
import { describeMoment } from './moment.ts'
import { isFlipped, isOver } from './move-machine.ts'
import { planMove, userNamed, type WantedMove } from './prepare-move.ts'
import { openDoor } from './open-door.ts'
import { RunLimits } from './run-limits.ts'
import { runMove } from './run-move.ts'

export interface MoveRequest extends WantedMove {
  readonly order: 'begun' | 'aborted' | 'dry run'
  /** When the user is to be frozen, in milliseconds since 1970; `now` instead of a time that was given before. */
  readonly at?: number | 'now' | undefined
  /** False: it ends where it would wait for its time. */
  readonly waits?: boolean
  /** What may be taken; that of the config. */
  readonly limits?: RunLimits
}

export interface MoveListener {
  step(move: Move): void
  progress(seen: { readonly messages: number; readonly bytes: number }): void
  note(text: string): void
}

export interface MoveReport {
  readonly move: Pick<Move, 'user' | 'source' | 'target'>
  /**
   * moved: the user lives at the target; planned: only looked; there: nothing was to be done; waiting:
   * it is not time yet.
   */
  readonly result: 'moved' | 'planned' | 'there' | 'waiting' | 'aborted' | 'failed'
  readonly estimate?: Estimate
  readonly record?: Move
  readonly bad: readonly ReportedBad[]
}

/** Folders at a time. */
const lanes = 4

/**
 * Throws what planning and opening throw, and MIGRATION_BUSY where another process works on the
 * mailbox; what fails later is in the report. `signal` ends it in order, the user thawed.
 */
export async function moveUser(
  config: Config,
  request: MoveRequest,
  listener: MoveListener,
  signal: AbortSignal,
): Promise<MoveReport> {
  const user = userNamed(request.user, config).key
  using hold = await MailboxHold.take(config.stateDir, user)
  using journal = await MoveJournal.open(config.stateDir)
  using own = new RunLimits(config)
  const { limits = own } = request
  const asked = { ...request, hold, journal, listener, limits, signal }
  const known = journal.lastOf(user)
  refusePast(request, known, limits.clock.wall())
  const isThis = known?.target === request.to.name
  if (known !== undefined && !isOver(known.step)) {
    if (!isThis) throw new MailmuxError('MOVE_REFUSED', describeOther(known))
    return await goOn(config, asked, allowing(asked, putOff(asked, known)))
  }
  const plan = request.order === 'aborted' ? undefined : planMove(config, request)
  if (plan !== undefined) return await begin(config, asked, plan)
  if (request.order !== 'aborted') {
    const source = isThis ? known.source : request.to.name
    return { move: { user, source, target: request.to.name }, result: 'there', bad: [] }
  }
  // Of a move that is over, the machine says why it cannot be given up.
  if (known !== undefined && isThis) {
    return await goOn(config, asked, known)
  }
  throw new MailmuxError('MOVE_UNKNOWN', `${user} is not being moved to ${request.to.name}`)
}

export interface MoveInHand {
  readonly user: string
  /** Whether the last move of the user, as it is when nobody else works on it, is to be gone on with. */
  readonly isMeant: (last: Move) => boolean
  readonly limits: RunLimits
}

/**
 * Goes on with a move as `moveUser` does, and never begins one, nor waits for its time. Undefined where
 * it is not meant any more. Throws likewise.
 */
export async function goOnWith(
  config: Config,
  { user, isMeant, limits }: MoveInHand,
  listener: MoveListener,
  signal: AbortSignal,
): Promise<MoveReport | undefined> {
  using hold = await MailboxHold.take(config.stateDir, user)
  using journal = await MoveJournal.open(config.stateDir)
  const last = journal.lastOf(user)
  if (last === undefined || !isMeant(last)) return undefined
  const asked = { order: 'begun', waits: false, hold, journal, listener, limits, signal } as const
  const report = await goOn(config, asked, last)
  const { record } = report
  if (record?.step === 'stopped' && record.details.error?.code === 'MOVE_STOPPED') {
    // Nobody has stopped it but the end of whoever goes on with what is due.
    const { error: _, ...details } = record.details
    journal.enter(record, { step: 'planned', details })
  }
  return report
}

/** A time that is past was meant otherwise, unless it is the one that was given before. */
function refusePast({ at }: MoveRequest, known: Move | undefined, now: number): void {
  if (typeof at !== 'number' || at > now || known?.details.at === at) return
  const what = `${describeMoment(at)} is past: give a later time, or none to move now`
  throw new MailmuxError('USAGE', what)
}

/**
 * What this run is allowed holds from now on; else one that has stopped for it could only be given up,
 * and who goes on with it at its time would not know.
 */
function allowing({ merge, maxBad, ignores = [], verify, journal }: Order, move: Move): Move {
  const { step, details } = move
  const allowed = {
    merge: move.merge || merge,
    maxBad: Math.max(move.maxBad, maxBad),
    ignores: [...new Set([...(move.ignores ?? []), ...ignores])],
    ...(verify === undefined ? {} : { verify }),
  }
  const isNew = merge || maxBad > move.maxBad || ignores.length > 0 || verify !== undefined
  if (!isNew || isFlipped(step)) return move
  return journal.enter(move, { details: { ...details, allowed } })
}

/** The move with the time that was asked for; says where the one that it has is past. */
function putOff({ at, order, journal, listener, limits }: Going, move: Move): Move {
  const { at: known, ...rest } = move.details
  if (order !== 'begun' || isFlipped(move.step)) return move
  if (at === 'now' && known !== undefined) return journal.enter(move, { details: rest })
  if (typeof at === 'number' && at !== known) {
    return journal.enter(move, { details: { ...rest, at } })
  }
  if (known !== undefined && known <= limits.clock.wall()) {
    listener.note(
      `${move.user}: the time of the move, ${describeMoment(known)}, is past: it goes on`,
    )
  }
  return move
}

function describeOther({ user, source, target, step }: Move): string {
  const how = isFlipped(step) ? 'run that again to end it' : 'end that, or give it up with --abort'
  return `${user} is being moved from ${source} to ${target} (${step}): ${how}`
}

type Order = MoveRequest & Tools

/** What going on with a move needs of an order. */
type Going = Pick<Order, 'order' | 'at' | 'waits'> & Tools

interface Tools {
  readonly hold: MailboxHold
  readonly journal: MoveJournal
  readonly listener: MoveListener
  readonly limits: RunLimits
  readonly signal: AbortSignal
}

async function begin(config: Config, request: Order, planned: MovePlan): Promise<MoveReport> {
  const { journal, listener, limits, signal } = request
  const earlier = journal.lastMeantOf(planned.user)
  const isReturn =
    earlier?.source === planned.target &&
    earlier.target === planned.source &&
    (earlier.step === 'kept' || earlier.step === 'ended')
  const plan = { ...planned, isReturn }
  if (request.order === 'dry run') {
    const details = { passes: 0, copied: 0, bytes: 0, freezes: 0, sweeps: 0, stragglers: 0 }
    // What is only looked at has nothing to turn round, and writes nothing.
    const looked = { ...plan, isReturn: false, merge: plan.merge || isReturn }
    const now = Date.now()
    const times = { startedAt: now, changedAt: now }
    const move: Move = { ...looked, ...times, id: 0, step: 'planned', epoch: 0, details }
    return await goOn(config, request, move)
  }
  if (earlier?.step === 'kept') {
    // What has come to the mailbox that was left is brought along, for the last time.
    if (config.backends.has(earlier.source)) {
      await sweepOnce(config, earlier, { listener, limits, signal })
    } else {
      const what = 'is in the config no more: what came there since is not brought along'
      listener.note(`${earlier.user}: ${earlier.source} ${what}`)
    }
    if (isReturn) journal.enter(earlier, { step: 'ended' })
  }
  const { at } = request
  return await goOn(config, request, journal.begin(plan, at === 'now' ? undefined : at))
}

/** Brings over what has come to the back-end that a user has left. Its lock is the caller's. */
export async function sweepOnce(
  config: Config,
  move: Move,
  { listener, limits, signal }: Pick<Order, 'listener' | 'limits' | 'signal'>,
): Promise<number> {
  using copies = await CopyJournal.open(config.stateDir)
  const bad = new BadMessages(config.stateDir, move.user, move.maxBad)
  const isToTurn = false
  await using work = await workOf(config, move, { copies, bad, listener, limits, isToTurn })
  return await work.sweep(signal)
}

interface Surroundings extends Pick<MailboxMoveOptions, 'copies' | 'bad' | 'isToTurn' | 'hold'> {
  readonly listener: MoveListener
  readonly limits: RunLimits
}

async function workOf(
  config: Config,
  move: Move,
  { listener, limits, ...rest }: Surroundings,
): Promise<MailboxMove> {
  const ends = {
    source: (await doorOf(config, move.source, limits)).accessTo(move.login),
    target: (await doorOf(config, move.target, limits)).accessTo(move.login),
  }
  return new MailboxMove({
    config,
    move,
    ends,
    ...rest,
    lanes,
    clock: limits.clock,
    onProgress: (seen) => listener.progress(seen),
    onNote: (text) => listener.note(text),
  })
}

export async function doorOf(
  config: Config,
  name: string,
  limits: RunLimits,
): Promise<MailboxDoor> {
  const backend = config.backends.get(name)
  if (backend !== undefined) return await limits.through(name, await openDoor(config, backend))
  throw new MailmuxError('BACKEND_UNKNOWN', `${name}: the config has no back-end of that name`)
}

async function goOn(
  config: Config,
  { order, hold, journal, listener, limits, signal, waits = true }: Going,
  move: Move,
): Promise<MoveReport> {
  using copies = await CopyJournal.open(config.stateDir)
  const bad = new BadMessages(config.stateDir, move.user, move.maxBad)
  const isToTurn = move.isReturn && !journal.hasCopied(move)
  const around = { copies, bad, listener, limits, isToTurn, hold }
  await using work = await workOf(config, move, around)
  const { user, source, target } = move
  const told = { move: { user, source, target }, bad: bad.found }
  if (order === 'dry run') {
    await work.look(signal, true)
    const { estimate } = work
    return { ...told, result: 'planned', ...(estimate === undefined ? {} : { estimate }) }
  }
  const { freezeTargetMs, freezeLimitMs } = config.move
  const budget = { targetMs: freezeTargetMs, limitMs: freezeLimitMs }
  const onStep = (at: Move): void => listener.step(at)
  const { clock } = limits
  // A freeze that could not end within the window is not begun.
  const checkTime = (): void => limits.checkWindow(freezeLimitMs)
  const run = { move, journal, work, budget, clock, checkTime, waits, signal, onStep }
  const record = await runMove(run, order)
  const estimate = work.estimate === undefined ? {} : { estimate: work.estimate }
  return { ...told, result: resultOf(record), record, ...estimate }
}

function resultOf({ step, details }: Move): MoveReport['result'] {
  if (step === 'waiting') return 'waiting'
  if (details.error !== undefined) return 'failed'
  if (step === 'aborted') return 'aborted'
  return isFlipped(step) ? 'moved' : 'failed'
}
