/**
 * Histories of the machine of a move in a simulated world (simulated-move.ts), and what must hold at
 * their end: I-HOME, I-MOVE and I-LIVE of docs/reliability.md.
 */
import assert from 'node:assert/strict'
import { MailmuxError } from '../../src/base/error.ts'
import { isFlipped } from '../../src/migrate/move-machine.ts'
import { runMove } from '../../src/migrate/run-move.ts'
import { randomOf } from './random.ts'
import { type Faults, Killed, World } from './simulated-move.ts'

export const budget = { targetMs: 1_000, limitMs: 60_000 }
const ann = {
  user: 'ann@example.com',
  source: 'fritz',
  target: 'ingrid',
  login: 'ann@example.com',
  value: 'ingrid',
  isReturn: false,
  merge: false,
  maxBad: 0,
}
export const quiet: Faults = { kills: 0, failures: 0, restarts: 0, internalWrites: 0 }

export function worldOf(seed: number, faults: Faults = quiet, at?: number): World {
  const world = new World(randomOf(seed), faults)
  world.rest(20)
  world.begin(ann, at)
  return world
}

/** One run of the command; undefined where it was killed. */
export async function once(world: World, order: 'begun' | 'aborted' = 'begun') {
  const move = world.start()
  const { signal } = new AbortController()
  const { clock } = world
  const run = { move, journal: world, work: world, budget, clock, signal, onStep: () => undefined }
  try {
    return await runMove(run, order)
  } catch (error) {
    // What the journal fails in ends the command where it is.
    if (!(error instanceof Killed) && !(error instanceof MailmuxError)) throw error
    return undefined
  }
}

/** Runs the command until it ends as it should. */
export async function finish(world: World, order: 'begun' | 'aborted' = 'begun'): Promise<void> {
  const goal = order === 'begun' ? 'kept' : 'aborted'
  for (let runs = 0; ; runs++) {
    const ended = await once(world, order)
    if (ended?.step === goal) return
    if (order === 'aborted' && ended?.details.error?.code === 'MOVE_FLIPPED') return finish(world)
    // I-LIVE: when faults stop, it ends, if only after the days that its limit makes it take.
    if (runs === 30) world.calm()
    assert.ok(runs < 60, `it does not end: ${world.steps.slice(-20).join(' ')}`)
    world.rest(15)
  }
}

function sorted(all: [number, string][]): [number, string][] {
  return all.sort(([one], [other]) => one - other)
}

/** I-HOME, I-MOVE and I-LIVE of docs/reliability.md. */
export function check(world: World, told: string): void {
  assert.ok(world.homes.length <= 2, `${told}: homes ${world.homes.join()}`)
  const { at = 0 } = world.read(1).details
  assert.ok(
    (world.firstFreezeMs ?? at) >= at,
    `${told}: frozen at ${world.firstFreezeMs} for ${at}`,
  )
  assert.equal(world.home === 'ingrid', isFlipped(world.read(1).step), told)
  const seen = [...world.stores[world.home].letters.values()]
  assert.deepEqual(
    sorted(
      seen
        .filter(({ id }) => world.ledger.has(id) || !world.strays.has(id))
        .map(({ id, flags }) => [id, flags]),
    ),
    sorted([...world.ledger]),
    `${told}: ${world.steps.join(' ')}`,
  )
  world.rest(15)
  assert.equal(world.isFrozen, false, told)
}

const faults: Faults = { kills: 8, failures: 8, restarts: 6, internalWrites: 10 }

/** One history; throws what is wrong. */
export async function playSteps(seed: number): Promise<World> {
  const isLimited = seed % 3 === 0
  const daily = { messages: 12, ticks: 40 }
  const at = seed % 2 === 0 ? (20 + (seed % 400)) * 1000 : undefined
  const world = worldOf(seed, isLimited ? { ...faults, daily } : faults, at)
  if (isLimited) world.rest(150)
  await finish(world, seed % 4 === 0 ? 'aborted' : 'begun')
  // What somebody wrote inside the old back-end since is found by the sweep after that.
  world.calm()
  world.start()
  if (world.home === 'ingrid') await world.sweep()
  check(world, `SEED=${seed}`)
  return world
}
