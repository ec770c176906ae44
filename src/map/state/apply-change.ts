/**
 * Changes of the map while daemons run. The sources are edited, and overrides put in force, as one:
 *
 * 1. what is to be done is written into the journal of the state database,
 * 2. the sources are edited, each durable before the next,
 * 3. one transaction puts the overrides in force and clears the journal.
 *
 * A command that dies before 1 is done has done nothing; after it, the next command goes on from 2.
 * A failure in 2 or 3 takes back what was edited; where that fails too, it is said, and the journal
 * stays, so that the next command completes the change.
 *
 * The flip of a move is the other way round: nobody may complete it later, when the user is frozen no
 * more. One transaction puts it in force, with its journal; then the sources are edited. It is never
 * taken back, and what the next command completes is the sources.
 */
import { MailmuxError, messageOf } from '../../base/error.ts'
import type { Config } from '../../config/config.ts'
import { type Disk, realDisk } from '../../storage/disk.ts'
import { signatureOf } from '../../storage/file-signature.ts'
import { openMapInForce, type TracingReader } from '../open.ts'
import { applyEdit, type SourceEdit, type Undo } from './source-edit.ts'
import type { KnownSources } from './known-sources.ts'
import { type EditedFile, type Flip, type Override, State, type TakenSources } from './state.ts'

export interface PlannedChange {
  /** One line for the history, such as `user add ann@example.com fritz`. */
  readonly description: string
  readonly edits: readonly SourceEdit[]
  readonly overrides: readonly Override[]
  /** It gives a user another home. */
  readonly flip?: Omit<Flip, 'overrides'>
}

export interface ChangeOptions {
  readonly disk?: Disk
  /** Told what became of changes before, where it is not what was meant. */
  readonly warn?: (text: string) => void
  /** Ends the wait for another command. */
  readonly signal?: AbortSignal
}

interface JournalledChange extends Omit<PlannedChange, 'flip'> {
  readonly generation: number
  /** Only the sources are left to be edited. */
  readonly isInForce: boolean
}

/**
 * Plans a change against the map in force and makes it, durable in sources and state database when
 * it returns: with the number of its generation, or undefined where `plan` has nothing to change.
 * Throws what `plan` throws, MAP_SOURCE_CHANGED, MAP_SOURCE_UNWRITABLE, MAP_DATABASE_MISSING and
 * what `State.open` throws; then sources and map are as they were. After MAP_CHANGE_UNFINISHED the
 * next command completes the change.
 */
export async function applyChange(
  config: Config,
  plan: (map: TracingReader, known: KnownSources) => Promise<PlannedChange | undefined>,
  options: ChangeOptions = {},
): Promise<number | undefined> {
  using state = await openRepaired(config, options)
  const map = openMapInForce(config, undefined, 'few questions')
  if (state.generation < map.base) options.warn?.(describeLoss(state, map))
  let change: JournalledChange
  let flip: PlannedChange['flip']
  const known = state.knownSources(map.base)
  try {
    const planned = await plan(map, known)
    if (planned === undefined) return undefined
    const { flip: wanted, ...rest } = planned
    flip = wanted
    const generation = Math.max(map.generation, state.generation) + 1
    change = { ...rest, generation, isInForce: flip !== undefined }
  } finally {
    map.close()
  }
  await make(state, change, { disk: options.disk ?? realDisk, base: map.base, known, flip })
  return change.generation
}

function describeLoss({ path }: State, { base }: TracingReader): string {
  return (
    `${path} does not know generation ${base}, which is in force: it was made anew, or the database ` +
    'was built elsewhere; changes that only the sources hold need a `mailmux build-map`'
  )
}

interface Making {
  readonly disk: Disk
  readonly base: number
  readonly known: KnownSources
  readonly flip: PlannedChange['flip']
}

async function make(
  state: State,
  change: JournalledChange,
  { disk, base, known, flip }: Making,
): Promise<void> {
  const knownAfter = known.prepare(change.edits)
  if (flip === undefined) state.begin(encode(change))
  else {
    const { generation, description, overrides } = change
    const row = { generation, kind: 'change', description } as const
    state.putInForce(encode(change), row, { ...flip, overrides })
  }
  const undos: Undo[] = []
  try {
    const edited: EditedFile[] = []
    for (const edit of change.edits) {
      const { file } = edit
      const before = await signatureOf(file)
      await applyEdit(disk, edit, undos)
      edited.push({ file, before, after: await signatureOf(file) })
    }
    finish(state, change, edited, { base, sources: knownAfter() })
  } catch (error) {
    if (flip === undefined) await takeBack(state, undos, error)
    else throw new MailmuxError('MAP_CHANGE_UNFINISHED', messageOf(error), { cause: error })
    throw error
  }
}

async function takeBack(state: State, undos: readonly Undo[], reason: unknown): Promise<void> {
  try {
    for (const undo of undos) await undo()
    state.abandon()
  } catch (error) {
    const what = `${messageOf(reason)}; taking the change back failed too: ${messageOf(error)}`
    throw new MailmuxError('MAP_CHANGE_UNFINISHED', what, { cause: reason })
  }
}

/** Holds the state, after what a command that was ended has left undone is done. */
export async function openRepaired(
  config: Pick<Config, 'stateDir'>,
  { disk = realDisk, warn, signal }: ChangeOptions = {},
): Promise<State> {
  const state = await State.open(config.stateDir, undefined, signal)
  try {
    const { unfinished } = state
    if (unfinished !== undefined) {
      const change = decode(unfinished as EncodedChange)
      if (await isCompleted(change, disk)) finish(state, change)
      else {
        state.abandon()
        warn?.(describeBroken(change))
      }
    }
    return state
  } catch (error) {
    state[Symbol.dispose]()
    throw error
  }
}

function describeBroken({ description, isInForce }: JournalledChange): string {
  const what = `a command was ended in the middle of “${description}”, and its source was edited since, or is gone`
  return isInForce
    ? `${what}: it is in force all the same; run it again before the next \`mailmux build-map\``
    : `${what}: nothing more was done; \`mailmux build-map\` takes what the sources say`
}

async function isCompleted({ edits }: JournalledChange, disk: Disk): Promise<boolean> {
  try {
    for (const edit of edits) await applyEdit(disk, edit, [])
    return true
  } catch (error) {
    if (error instanceof MailmuxError && error.code === 'MAP_SOURCE_CHANGED') return false
    throw error
  }
}

function finish(
  state: State,
  { generation, description, edits, overrides, isInForce }: JournalledChange,
  edited: readonly EditedFile[] = [],
  taken?: TakenSources,
): void {
  const shifts = edits.flatMap(({ file, shifts: moved }) =>
    moved.map((shift) => ({ ...shift, file })),
  )
  if (isInForce) return state.complete(generation, { shifts, edits: edited }, taken)
  const change = { overrides, shifts, edits: edited }
  state.record({ generation, kind: 'change', description }, change, taken)
}

type EncodedChange = ReturnType<typeof encode>

function encode(change: JournalledChange) {
  const edits = change.edits.map((edit) => ({
    ...edit,
    splices: edit.splices.map(({ at, removeBytes, insert }) => {
      return { at, removeBytes, insert: insert.toString('base64') }
    }),
  }))
  return { ...change, edits }
}

function decode(encoded: EncodedChange): JournalledChange {
  const edits = encoded.edits.map((edit) => ({
    ...edit,
    splices: edit.splices.map(({ at, removeBytes, insert }) => {
      return { at, removeBytes, insert: Buffer.from(insert, 'base64') }
    }),
  }))
  return { ...encoded, edits }
}
