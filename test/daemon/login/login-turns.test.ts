import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { openBoards } from '../../../src/daemon/admission/boards.ts'
import { LoginBrakes } from '../../../src/daemon/admission/login-brakes.ts'
import { type LoginTurn, LoginTurns } from '../../../src/daemon/login/login-turns.ts'

const address = '192.0.2.1'

/** Two workers of a host, who count on the same board. */
function workersOn(t: TestContext): { one: Line; two: Line; tick: (ms: number) => void } {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const brakes = new LoginBrakes(openBoards(undefined), Buffer.from('of this test'))
  const tick = (ms: number): void => {
    for (let passed = 0; passed < ms; passed += 100) {
      now += 100
      t.mock.timers.tick(100)
    }
  }
  return { one: new Line(brakes), two: new Line(brakes), tick }
}

/** A worker, and what became of who asked it for a turn. */
class Line {
  readonly told: string[] = []
  readonly #turns: LoginTurns

  constructor(brakes: LoginBrakes) {
    this.#turns = new LoginTurns(brakes)
  }

  take(name: string): LoginTurn {
    return this.#turns.take(address, {
      hasTurn: () => this.told.push(name),
      hasNone: () => this.told.push(`${name} in vain`),
    })
  }

  fill(): LoginTurn[] {
    const turns = Array.from({ length: 10 }, () => this.take('at once'))
    assert.ok(turns.every(({ hasPlace }) => hasPlace))
    return turns
  }
}

test('who comes when all places are taken has them in order as they are left', (t) => {
  const { one } = workersOn(t)
  const [first, second, third] = one.fill()
  const waiting = ['a', 'b', 'c', 'd'].map((name) => one.take(name))
  assert.ok(waiting.every(({ hasPlace }) => !hasPlace))
  first?.end()
  assert.deepEqual(one.told, ['a'])
  waiting[1]?.end()
  second?.end()
  second?.end()
  assert.deepEqual(one.told, ['a', 'c'])
  third?.end()
  assert.deepEqual(one.told, ['a', 'c', 'd'])
  assert.equal(one.take('e').hasPlace, false)
})

test('a place that another worker leaves is seen', (t) => {
  const { one, two, tick } = workersOn(t)
  const turns = one.fill()
  two.take('a')
  tick(1000)
  assert.deepEqual(two.told, [])
  turns[4]?.end()
  tick(100)
  assert.deepEqual(two.told, ['a'])
})

test('a place is kept for as long as its answer waits, and nobody waits for one for ever', (t) => {
  const { one, tick } = workersOn(t)
  const [first, ...others] = one.fill()
  first?.end(15_000)
  one.take('a')
  tick(14_000)
  one.take('b')
  assert.deepEqual(one.told, [])
  tick(1000)
  assert.deepEqual(one.told, ['a'])
  tick(30_000)
  assert.deepEqual(one.told, ['a', 'b in vain'])
  others[0]?.end()
  assert.ok(one.take('c').hasPlace)
})

test('who ends its turn as soon as it has it holds nobody up', (t) => {
  const { one } = workersOn(t)
  const turns = one.fill()
  const quick: LoginTurn[] = []
  const brakes: string[] = []
  for (const name of ['a', 'b', 'c']) {
    quick.push(one.take(name))
    brakes.push(name)
  }
  turns[0]?.end()
  for (const turn of quick) turn.end()
  assert.deepEqual(one.told, brakes)
})
