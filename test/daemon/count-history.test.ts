import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CountHistory } from '../../src/daemon/count-history.ts'

test('what came in the last minute is the difference to the look of a minute ago', () => {
  const history = new CountHistory(0)
  for (let second = 5; second <= 120; second += 5) history.add(second * 1000, { a: second, b: 1 })
  assert.deepEqual(history.lastMinute(120_000, { a: 120, b: 1, c: 3 }), { a: 60, c: 3 })
})

test('before the first minute is over, all that came counts, and nothing is multiplied', () => {
  const history = new CountHistory(0)
  history.add(5_000, { a: 7 })
  assert.deepEqual(history.lastMinute(10_000, { a: 9 }), { a: 9 })
})

test('where the last look is older than a minute, its share of a minute counts', () => {
  const history = new CountHistory(0)
  history.add(60_000, { a: 10 })
  assert.deepEqual(history.lastMinute(180_000, { a: 30 }), { a: 10 })
})
