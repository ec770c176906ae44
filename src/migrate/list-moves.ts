/** `mailmux user moves`: all moves, the sweeps of those that are done, and the end of what was left. */
import type { MailboxAccess } from '../backend/mailbox-access.ts'
import { MailmuxError, messageOf } from '../base/error.ts'
import type { Config } from '../config/config.ts'
import { parseAddress } from '../mail/address.ts'
import { homeOf } from '../map/edit/flip-user.ts'
import { openMapInForce } from '../map/open.ts'
import { CopyJournal } from '../map/state/copy-journal.ts'
import { lockMailbox } from '../map/state/mailbox-lock.ts'
import { type Move, MoveJournal, type MoveStep } from '../map/state/move-journal.ts'
import { isFlipped, isOver } from './move-machine.ts'
import { describeAwaited } from './move-report.ts'
import { doorOf, type MoveListener, sweepOnce } from './move-user.ts'
import { checkCopies } from './check-copies.ts'
import { purgeSource } from './purge-source.ts'
import { RunLimits } from './run-limits.ts'

/** As `--json` prints it; times in ISO 8601. */
export interface ListedMove {
  readonly user: string
  readonly source: string
  readonly target: string
  readonly step: MoveStep
  readonly started: string
  readonly since: string
  readonly copied: number
  readonly bytes: number
  readonly freeze_ms?: number
  readonly stragglers: number
  /** When the user is to be frozen; absent where no time was given, or it is done. */
  readonly at?: string
  /** What it waits for; absent where it waits for nothing. */
  readonly awaits?: string
  readonly error?: { readonly code: string; readonly message: string }
}

/** Throws STATE_DAMAGED and STATE_UNUSABLE. */
export async function listMoves({ stateDir, move }: Config): Promise<ListedMove[]> {
  using journal = await MoveJournal.open(stateDir)
  return journal.moves().map((one) => listed(one, move.retainMs))
}

/**
 * The last move of a user, whatever became of it. Makes nothing. Undefined, too, where the state
 * database cannot be read: who asks for a route has been told.
 */
export function lastMoveOf({ stateDir, move }: Config, user: string): ListedMove | undefined {
  try {
    using journal = MoveJournal.openToRead(stateDir)
    const last = journal?.lastOf(user)
    return last === undefined ? undefined : listed(last, move.retainMs)
  } catch (error) {
    if (error instanceof MailmuxError) return undefined
    throw error
  }
}

export function describeListed({ source, target, step, awaits = '' }: ListedMove): string {
  return `from ${source} to ${target}: ${step}${awaits === '' ? '' : `; ${awaits}`}`
}

function listed(move: Move, retainMs: number): ListedMove {
  const { user, source, target, step, startedAt, changedAt, details } = move
  const { copied, bytes, freezeMs, stragglers, at, error } = details
  const isAhead = at !== undefined && !isFlipped(step) && !isOver(step)
  const awaits = describeAwaited(move, retainMs)
  return {
    user,
    source,
    target,
    step,
    started: new Date(startedAt).toISOString(),
    since: new Date(changedAt).toISOString(),
    copied,
    bytes,
    ...(freezeMs === undefined ? {} : { freeze_ms: freezeMs }),
    stragglers,
    ...(isAhead ? { at: new Date(at).toISOString() } : {}),
    ...(awaits === '' ? {} : { awaits }),
    ...(error === undefined ? {} : { error }),
  }
}

/** What became of one move. */
export interface SettledMove {
  readonly user: string
  readonly source: string
  readonly target: string
  readonly swept?: number
  readonly purged?: number
  /** The back-end that the user lives at, by a move whose time had come. */
  readonly moved?: string
  /** What is otherwise than meant, and no fault. */
  readonly notes?: readonly string[]
  readonly problems: readonly string[]
  readonly error?: { readonly code: string; readonly message: string }
}

/**
 * Brings over what has come to where users were. One that fails does not keep the others. `isWanted`
 * is told what has become of those before.
 */
export async function sweepMoves(
  config: Config,
  signal: AbortSignal,
  isWanted: (move: Move, settled: readonly SettledMove[]) => boolean = () => true,
): Promise<SettledMove[]> {
  return await forEach(config, signal, (move, { journal, settled }) => {
    if (move.step !== 'kept' || !isWanted(move, settled)) return undefined
    // Whoever has moved on since lives elsewhere.
    const isLast = journal.lastMeantOf(move.user)?.id === move.id
    return isLast ? (tools) => sweep(config, move, tools) : undefined
  })
}

/**
 * Takes away what has been kept for its time, of what is still at the new home or was deleted there.
 * `now`: milliseconds since 1970. `isUnverified`: whatever is there.
 */
export async function purgeMoves(
  config: Config,
  now: number,
  signal: AbortSignal,
  { isUnverified = false } = {},
): Promise<SettledMove[]> {
  return await forEach(config, signal, (move, { journal }) => {
    const { step, details, changedAt } = move
    const isDue = now >= (details.flippedAt ?? changedAt) + config.move.retainMs
    if (step !== 'purging' && !(step === 'kept' && isDue)) return undefined
    return (tools) => purge(config, move, { ...tools, journal, isUnverified })
  })
}

interface Tools {
  readonly listener: MoveListener
  readonly limits: RunLimits
  readonly signal: AbortSignal
}

interface Settling {
  readonly journal: MoveJournal
  readonly settled: readonly SettledMove[]
}

type Work = (tools: Tools) => Promise<Partial<SettledMove>>

async function forEach(
  config: Config,
  signal: AbortSignal,
  workOn: (move: Move, so: Settling) => Work | undefined,
): Promise<SettledMove[]> {
  using journal = await MoveJournal.open(config.stateDir)
  using limits = new RunLimits(config)
  const settled: SettledMove[] = []
  const so = { journal, settled }
  for (const move of journal.moves()) {
    if (workOn(move, so) === undefined || signal.aborted) continue
    const { id, user, source, target } = move
    const told = { user, source, target }
    const problems: string[] = []
    const note = (text: string): void => void problems.push(text)
    const listener = { step: () => undefined, progress: () => undefined, note }
    try {
      using _lock = await lockMailbox(config.stateDir, user)
      // Others may have gone on with it while those before it were worked on.
      const work = workOn(journal.read(id), so)
      if (work === undefined) continue
      settled.push({ ...told, problems, ...(await work({ listener, limits, signal })) })
    } catch (error) {
      const code = error instanceof MailmuxError ? error.code : 'INTERNAL'
      settled.push({ ...told, problems, error: { code, message: messageOf(error) } })
    }
  }
  return settled
}

async function sweep(config: Config, move: Move, tools: Tools): Promise<Partial<SettledMove>> {
  using journal = await MoveJournal.open(config.stateDir)
  const swept = await sweepOnce(config, move, tools)
  const { sweeps, stragglers } = move.details
  const counted = { sweeps: sweeps + 1, sweptAt: Date.now(), stragglers: stragglers + swept }
  journal.enter(move, { details: { ...move.details, ...counted } })
  return { swept }
}

interface Purging extends Tools {
  readonly journal: MoveJournal
  readonly isUnverified: boolean
}

async function purge(
  config: Config,
  move: Move,
  { journal, isUnverified, ...tools }: Purging,
): Promise<Partial<SettledMove>> {
  if (!config.backends.has(move.source)) {
    journal.enter(move, { step: 'ended' })
    return { purged: 0, notes: [`${move.source} is in the config no more: what is there stays`] }
  }
  refuseHome(config, move)
  const { limits, signal } = tools
  const accessAt = async (name: string): Promise<MailboxAccess> => {
    return (await doorOf(config, name, limits)).accessTo(move.login)
  }
  using copies = await CopyJournal.open(config.stateDir)
  // What is brought over now would hide that the new home is older than it was.
  const stays = isUnverified
    ? new Map<string, string>()
    : await checkCopies(move, await accessAt(move.target), copies, signal)
  const isLast = journal.lastMeantOf(move.user)?.id === move.id
  const swept = isLast ? await sweepOnce(config, move, tools) : 0
  const begun = journal.enter(move, { step: 'purging' })
  const purging = { journal: copies, stays, signal }
  const { purged, problems } = await purgeSource(move, await accessAt(move.source), purging)
  if (problems.length === 0) journal.enter(begun, { step: 'purged' })
  return { swept, purged, problems }
}

/** Throws MOVE_REFUSED. */
function refuseHome(config: Config, { user, source }: Move): void {
  const address = parseAddress(user, config.naming)
  const map = openMapInForce(config, undefined, 'few questions')
  try {
    if (address === undefined || homeOf(map, config, address).backend !== source) return
  } finally {
    map.close()
  }
  throw new MailmuxError('MOVE_REFUSED', `${user} lives at ${source}`)
}
