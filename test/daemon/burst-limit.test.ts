import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { BurstLimit } from '../../src/daemon/burst-limit.ts'

test('the first few of each kind pass in a second, the rest are counted', () => {
  const limit = new BurstLimit(2)
  const passed = ['a', 'a', 'a', 'b', 'a'].map((kind) => limit.admit(kind, 1500))
  assert.deepEqual(passed, [true, true, false, true, false])
  assert.deepEqual(limit.takeHeld(), [['a', 2]])
  assert.deepEqual(limit.takeHeld(), [])
  assert.equal(limit.admit('a', 1999), false)
  assert.equal(limit.admit('a', 2000), true)
})

test('whatever comes, passed and held are all that came', () => {
  const arrivals = fc.array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.nat(400)))
  fc.assert(
    fc.property(arrivals, fc.integer({ min: 1, max: 5 }), (events, perSecond) => {
      const limit = new BurstLimit(perSecond)
      let now = 0
      let passed = 0
      for (const [kind, waitMs] of events) {
        now += waitMs
        if (limit.admit(kind, now)) passed++
      }
      const held = limit.takeHeld().reduce((sum, [, count]) => sum + count, 0)
      assert.equal(passed + held, events.length)
    }),
  )
})
