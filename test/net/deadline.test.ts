import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DeadlineWheel, type Timed } from '../../src/net/deadline.ts'

class Waiting implements Timed {
  due: Timed['due']
  timesUp = 0
  readonly #then: () => void

  constructor(then: () => void = () => undefined) {
    this.#then = then
  }

  timedOut(): void {
    this.timesUp++
    this.#then()
  }
}

test('a deadline is met up to two ticks late and never early', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const wheel = new DeadlineWheel(10)
  for (const waitMs of [1, 10, 95, 1280, 5000]) {
    const item = new Waiting()
    wheel.arm(item, waitMs)
    t.mock.timers.tick(Math.floor((waitMs - 1) / 10) * 10)
    assert.equal(item.timesUp, 0, `${waitMs} ms: not early`)
    t.mock.timers.tick(30)
    assert.equal(item.timesUp, 1, `${waitMs} ms: not later than two ticks`)
    assert.equal(item.due, undefined)
  }
})

test('a deadline that was set anew or taken back is forgotten', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const wheel = new DeadlineWheel(10)
  const [again, never] = [new Waiting(), new Waiting()]
  wheel.arm(again, 20)
  wheel.arm(never, 20)
  wheel.arm(again, 100)
  wheel.disarm(never)
  wheel.disarm(never)
  t.mock.timers.tick(60)
  assert.deepEqual([again.timesUp, never.timesUp], [0, 0])
  t.mock.timers.tick(60)
  assert.deepEqual([again.timesUp, never.timesUp], [1, 0])
})

test('what ends at the same tick may end or restart its neighbours', (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const wheel = new DeadlineWheel(10)
  const [stopped, restarted] = [new Waiting(), new Waiting()]
  const first = new Waiting(() => {
    wheel.disarm(stopped)
    // A whole turn of the wheel: the same slot, another tick.
    wheel.arm(restarted, 128 * 10 - 10)
  })
  for (const item of [first, stopped, restarted]) wheel.arm(item, 50)
  t.mock.timers.tick(100)
  assert.deepEqual([first.timesUp, stopped.timesUp, restarted.timesUp], [1, 0, 0])
  t.mock.timers.tick(1290)
  assert.equal(restarted.timesUp, 1)
})

test('a wheel without deadlines keeps no timer', () => {
  const wheel = new DeadlineWheel(10)
  const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const item = new Waiting()
  wheel.arm(item, 1000)
  wheel.disarm(item)
  const after = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  assert.equal(after, before)
})
