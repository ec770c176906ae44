/**
 * The machine of a move in a simulated world: whatever fails, and wherever the mover is killed, the
 * user has one home, and every message once. `SEED=…` replays one history, `MOVE_SEEDS=100000` tries
 * more.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { MoveStep } from '../../src/map/state/move-journal.ts'
import { type MoveEvent, type MoveState, stateAt, step } from '../../src/migrate/move-machine.ts'
import { runMove } from '../../src/migrate/run-move.ts'
import type { World } from '../support/simulated-move.ts'
import {
  budget,
  check,
  finish,
  once,
  playSteps,
  quiet,
  worldOf,
} from '../support/simulated-steps.ts'

test('a move goes through its steps in order, each written down', async () => {
  const world = worldOf(1)
  await finish(world)
  const steps = world.steps.filter((one, index, all) => one !== all[index - 1])
  const wanted = 'planned copying freezing settling verifying flipping flipped sweeping kept'.split(
    ' ',
  )
  assert.deepEqual(steps, wanted)
  check(world, 'undisturbed')
  assert.equal(await once(world).then((move) => move?.step), 'kept')
})

for (const order of ['begun', 'aborted'] as const) {
  test(`killed at any of its calls and then ${order} again, it ends in one home`, async () => {
    const whole = worldOf(2)
    await finish(whole)
    assert.ok(whole.calls > 40, `${whole.calls} calls`)
    const homes = new Set<string>()
    for (let call = 1; call <= whole.calls; call++) {
      for (const when of ['before', 'after'] as const) {
        const world = worldOf(2)
        world.killAt = { call, when }
        assert.equal(await once(world), undefined)
        world.rest(3)
        await finish(world, order)
        check(world, `killed ${when} call ${call}`)
        homes.add(world.home)
      }
    }
    assert.deepEqual([...homes].sort(), order === 'begun' ? ['ingrid'] : ['fritz', 'ingrid'])
  })
}

test('a move with a time waits for it, keeps the copy fresh, and freezes nobody before', async () => {
  const at = 10_000_000
  const world = worldOf(6, quiet, at)
  const ended = await once(world)
  assert.equal(ended?.step, 'kept')
  // Every hour, and shortly before.
  assert.ok(world.waits >= 3 && world.read(1).details.passes >= 5, `${world.waits} waits`)
  check(world, 'with a time')
})

test('a move that waits is given up, gone on with or put off by others, and hears of it', async () => {
  const abortedBy = worldOf(7, quiet, 9_000_000)
  abortedBy.meanwhile = async () => {
    abortedBy.meanwhile = undefined
    assert.equal((await once(abortedBy, 'aborted'))?.step, 'aborted')
  }
  const { signal } = new AbortController()
  const runOf = (world: World, waits = true) => {
    const { clock } = world
    const rest = { budget, clock, signal, waits, onStep: () => undefined }
    return runMove({ move: world.start(), journal: world, work: world, ...rest })
  }
  assert.equal((await runOf(abortedBy)).step, 'aborted')
  assert.deepEqual([abortedBy.home, abortedBy.isFrozen], ['fritz', false])

  const putOff = worldOf(8, quiet, 1_000_000)
  putOff.meanwhile = async () => {
    putOff.meanwhile = undefined
    const move = putOff.read(1)
    putOff.enter(move, { details: { ...move.details, at: 2_000_000 } })
  }
  assert.equal((await runOf(putOff)).step, 'kept')
  check(putOff, 'put off')

  const left = worldOf(9, quiet, 1_000_000)
  assert.equal((await runOf(left, false)).step, 'waiting')
  assert.deepEqual([left.home, left.waits], ['fritz', 0])
  left.rest(1_100)
  assert.equal((await runOf(left, false)).step, 'kept')
  check(left, 'gone on with')
})

test('whichever of its calls fails, the user is thawed, and another run ends it', async () => {
  const whole = worldOf(3)
  await finish(whole)
  for (let call = 1; call <= whole.calls; call++) {
    const world = worldOf(3)
    world.failAt = call
    const ended = await once(world)
    if (ended !== undefined) {
      assert.notEqual(ended.details.error, undefined, `call ${call}`)
      if (ended.step !== 'giving_up' && ended.step !== 'flipped') {
        assert.equal(world.isFrozen, false, `call ${call}: ${ended.step}`)
      }
    }
    await finish(world)
    check(world, `call ${call} failed`)
  }
})

test('a freeze that is over its budget ends at the source, whatever is under way', async () => {
  const world = worldOf(4)
  world.settle = (signal?: AbortSignal): Promise<never> =>
    new Promise((_, reject) => {
      signal?.addEventListener('abort', () => reject(new Error('cut off')), { once: true })
    })
  const run = { journal: world, work: world, clock: world.clock, onStep: () => undefined }
  const { signal } = new AbortController()
  const short = { targetMs: 1_000, limitMs: 5 }
  const ended = await runMove({ ...run, move: world.start(), budget: short, signal })
  assert.deepEqual([ended.step, ended.details.error?.code], ['stopped', 'MOVE_OVER_BUDGET'])
  assert.deepEqual([world.isFrozen, world.home], [false, 'fritz'])
})

test('a command that is interrupted thaws the user before it ends', async () => {
  const world = worldOf(5)
  const interrupted = new AbortController()
  const { clock } = world
  const run = { journal: world, work: world, budget, clock, signal: interrupted.signal }
  const onStep = ({ step: at }: { readonly step: MoveStep }): void => {
    if (at === 'verifying') interrupted.abort()
  }
  const ended = await runMove({ ...run, move: world.start(), onStep })
  assert.deepEqual([ended.step, ended.details.error?.code], ['stopped', 'MOVE_STOPPED'])
  assert.deepEqual([world.isFrozen, world.home], [false, 'fritz'])
  await finish(world)
  check(world, 'interrupted')
})

const seeds =
  process.env['SEED'] === undefined
    ? Array.from({ length: Number(process.env['MOVE_SEEDS'] ?? 1_000) }, (_, index) => index + 1)
    : [Number(process.env['SEED'])]

test(`a move survives what ${seeds.length} seeds make of its world`, async () => {
  const ends = { kept: 0, aborted: 0 }
  let [limited, waits] = [0, 0]
  for (const seed of seeds) {
    const world = await playSteps(seed).catch((cause: unknown) => {
      throw new Error(`SEED=${seed}`, { cause })
    })
    limited += world.limited
    waits += world.waits
    const { step: last } = world.read(1)
    if (last === 'kept' || last === 'aborted') ends[last]++
  }
  if (seeds.length > 1) assert.ok(ends.kept > 500 && ends.aborted > 100, JSON.stringify(ends))
  if (seeds.length > 1)
    assert.ok(limited > 100 && waits > 200, `${limited} limited, ${waits} waits`)
})

function after(from: Partial<MoveState> & { step: MoveStep }, ...events: MoveEvent[]) {
  let state: MoveState = { ...stateAt(from.step), ...from }
  const actions: string[] = []
  for (const event of events) {
    const [next, action] = step(state, event, budget)
    state = next
    actions.push(action)
  }
  return { ...state, actions }
}

const passed = (ms: number): MoveEvent => ({ kind: 'passed', ms })

const goesOn = (at: MoveStep, kind: 'begun' | 'aborted'): string => {
  const ended = after({ step: at }, { kind })
  return `${ended.step} ${ended.actions[0]}${ended.failure === undefined ? '' : ' failed'}`
}

describe('the machine', () => {
  const failed: MoveEvent = { kind: 'failed', failure: { code: 'X', message: 'x' } }

  test('freezes when a pass is short, or three in a row have brought it no nearer', () => {
    assert.deepEqual(after({ step: 'copying' }, passed(9_000), passed(999)).actions, [
      'pass',
      'freeze',
    ])
    const steady = [9_000, 8_900, 9_100, 8_800].map(passed)
    assert.deepEqual(after({ step: 'copying' }, ...steady).actions, [
      'pass',
      'pass',
      'pass',
      'freeze',
    ])
  })

  test('does not freeze a user where a pass alone is over the budget', () => {
    const ended = after({ step: 'copying' }, ...[90_000, 91_000, 90_000, 92_000].map(passed))
    assert.deepEqual(
      [ended.step, ended.failure?.code, ended.actions.at(-1)],
      ['stopped', 'MOVE_OVER_BUDGET', 'end'],
    )
  })

  test('gives up after three differences, or five gaps in the freeze', () => {
    const unequal: MoveEvent[] = [{ kind: 'verified', isEqual: false }, { kind: 'settled' }]
    const differing = after({ step: 'verifying' }, ...unequal, ...unequal, unequal[0] as MoveEvent)
    assert.deepEqual(
      [differing.step, differing.failure?.code, differing.actions.at(-1)],
      ['giving_up', 'MOVE_UNEQUAL', 'thaw'],
    )
    const gaps = Array.from({ length: 5 }, (): MoveEvent => ({ kind: 'disturbed' }))
    const disturbed = after({ step: 'flipping' }, ...gaps)
    assert.deepEqual([disturbed.step, disturbed.failure?.code], ['giving_up', 'MOVE_UNFROZEN'])
  })

  test('ends the freeze after any failure in it, and stops', () => {
    for (const at of ['freezing', 'settling', 'verifying', 'flipping'] as const) {
      const ended = after({ step: at }, failed, { kind: 'thawed' })
      assert.deepEqual([ended.step, ...ended.actions], ['stopped', 'thaw', 'end'])
      const unthawed = after({ step: at }, failed, failed)
      assert.deepEqual([unthawed.step, ...unthawed.actions], ['stopped', 'thaw', 'end'])
    }
  })

  test('goes on from each step as another run finds it', () => {
    const before: MoveStep[] = ['planned', 'copying', 'waiting', 'stopped']
    const frozen: MoveStep[] = ['freezing', 'settling', 'verifying', 'flipping', 'giving_up']
    for (const at of before) assert.equal(goesOn(at, 'begun'), 'planned look')
    for (const at of frozen) assert.equal(goesOn(at, 'begun'), 'giving_up thaw')
    for (const at of [...before, ...frozen]) assert.equal(goesOn(at, 'aborted'), 'giving_up thaw')
    assert.equal(goesOn('flipped', 'begun'), 'flipped thaw')
    assert.equal(goesOn('sweeping', 'begun'), 'sweeping sweep')
    for (const at of ['kept', 'purging', 'purged', 'ended', 'aborted'] as const) {
      assert.equal(goesOn(at, 'begun'), `${at} end`)
    }
    for (const at of ['flipped', 'sweeping', 'kept', 'purged', 'ended'] as const) {
      assert.equal(goesOn(at, 'aborted'), `${at} end failed`)
    }
    assert.equal(goesOn('aborted', 'aborted'), 'aborted end')
  })
})
