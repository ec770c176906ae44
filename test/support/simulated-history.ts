/**
 * One history of a simulated world: a user is moved, by as many runs of the command as it takes, and
 * what must hold is looked at after each of them, and at the end.
 *
 * What is not claimed (docs/migration.md) is let pass, and nothing else: a message that a run has stored
 * and did not write down, since it was killed or cut off, stays where its user has deleted it before
 * the next run could know it again.
 */
import assert from 'node:assert/strict'
import { MailmuxError } from '../../src/base/error.ts'
import type { Move } from '../../src/map/state/move-journal.ts'
import { isFlipped } from '../../src/migrate/move-machine.ts'
import type { HostName } from './simulated-host.ts'
import { wireName } from './simulated-imap-names.ts'
import { describeDifference, type Difference } from './simulated-ledger.ts'
import { pathKey } from './simulated-mailbox.ts'
import { decodeFolderName } from '../../src/mail/folder-name.ts'
import { interrupted } from './simulated-world.ts'
import { Killed } from './simulated-life.ts'
import type { Outcome, SimulatedSite } from './simulated-site.ts'

/** Runs after which nothing fails any more, and after which it must have ended. */
const [runsWithFaults, mostRuns] = [6, 14]

export interface History {
  readonly end: 'kept' | 'aborted'
  readonly runs: number
  readonly faults: number
  readonly ticks: number
}

/** Throws what is wrong. */
export async function play(site: SimulatedSite, seed: number): Promise<History> {
  const world = await site.begin(seed)
  const { abortsIn, movesBack } = world.plan
  let { runs, end } = await moveTo(site, 'ingrid', abortsIn)
  await check(site, 'ingrid')
  if (end === 'kept' && movesBack) {
    await world.rest(Math.floor(world.random() * 30))
    const back = await moveTo(site, 'fritz', undefined)
    await check(site, 'fritz')
    runs += back.runs
  }
  return { end, runs, faults: world.faults, ticks: world.tick }
}

async function moveTo(
  site: SimulatedSite,
  to: HostName,
  abortsIn: number | undefined,
): Promise<{ readonly end: 'kept' | 'aborted'; readonly runs: number }> {
  const { world } = site
  let isAborting = false
  for (let runs = 0; ; runs++) {
    if (runs === abortsIn && world.home !== to) isAborting = true
    if (runs === runsWithFaults) await world.settleDown()
    const order = isAborting ? 'aborted' : 'begun'
    const outcome = await site.move(to, order)
    assert.equal(world.wrong, undefined)
    await checkRun(site, outcome, to)
    const { report } = outcome
    const error = report?.record?.details.error ?? outcome.error
    const code = (error as { code?: string } | undefined)?.code
    world.note(`it ends: ${report?.result} ${code}`)
    if (report?.result === 'aborted') return { end: 'aborted', runs }
    if (report?.result === 'there') return { end: 'kept', runs }
    if (report?.result === 'moved' && report.record?.step === 'kept') return { end: 'kept', runs }
    if (isAborting && code === 'MOVE_UNKNOWN') return { end: 'aborted', runs }
    if (code === 'MOVE_FLIPPED') isAborting = false
    // I-LIVE: when nothing fails any more, it ends.
    assert.ok(runs < mostRuns, `it does not end: ${report?.record?.step} ${messageOf(error)}`)
    await world.rest(Math.floor(world.random() * 40))
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : ((error as Error | undefined)?.message ?? '')
}

/** What holds after each run, whatever has become of it. */
async function checkRun(site: SimulatedSite, { report, error }: Outcome, to: HostName) {
  const { world } = site
  const isOurs = error === undefined || error instanceof MailmuxError
  const isEnded = error instanceof Killed || messageOf(error) === interrupted
  if (!isOurs && !isEnded) throw new Error('not what a command fails with', { cause: error })
  const failure = report?.record?.details.error
  assert.ok(failure?.code !== 'INTERNAL', messageOf(failure))
  // I-HOME: one home, and all say the same.
  const move = await site.lastMove()
  assert.equal(site.home, world.home)
  if (move !== undefined) assert.equal(homeBy(move), world.home, move.step)
  if (report?.record?.step === 'kept') assert.equal(world.home, to)
}

function homeBy({ step, source, target }: Move): string {
  return isFlipped(step) ? target : source
}

/** When it has ended. */
async function check(site: SimulatedSite, to: HostName): Promise<void> {
  const { world } = site
  await world.settleDown()
  assert.equal(site.daemon.isFrozen, false, 'the user is frozen still')
  const isMoved = world.home === to
  const from = to === 'fritz' ? 'ingrid' : 'fritz'
  if (isMoved) {
    for (const { error, problems } of await site.sweep()) {
      assert.equal(error, undefined)
      assert.deepEqual(problems, [])
    }
  }
  assert.equal(world.wrong, undefined)
  assert.deepEqual(
    world.traffic.ledger.left.map(({ entry }) => entry.body.key),
    [],
    'not swept',
  )
  const rows = await site.rows(from, to)
  const [wrong, strays] = [[] as Difference[], [] as Difference[]]
  for (const one of world.differences()) {
    if (isMoved && mayBe(site, one, rows)) strays.push(one)
    else wrong.push(one)
  }
  assert.equal(wrong.map(describeDifference).join('\n'), '')
  // They are its user's from now on, and go where he goes.
  for (const { path, message } of strays) {
    if (message === undefined) continue
    world.traffic.ledger.add(path, { body: message.body, flags: message.flags, isInside: false })
  }
}

/** A message that was stored, not written down, and deleted by its user before the next run. */
function mayBe(
  { world }: SimulatedSite,
  { path, message }: Difference,
  rows: ReadonlyMap<string, ReadonlySet<number>>,
): boolean {
  if (message === undefined || !message.isCopy || world.faults === 0) return false
  const name = decodeFolderName(wireName(path, world.traitsOf(world.home))) ?? ''
  const isRow = rows.get(name)?.has(message.uid) === true
  return !isRow && world.traffic.removed.has(`${pathKey(path)} ${message.body.key}`)
}
