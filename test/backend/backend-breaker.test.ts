import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BackendBreaker } from '../../src/backend/backend-breaker.ts'

/** Failures in turn for two clients. */
function fail(breaker: BackendBreaker, times: number, nowMs: number): void {
  for (let count = 0; count < times; count++) breaker.failed(nowMs, `10.0.0.${count % 2}`)
}

test('a back-end is spared after five failures in a row, for thirty seconds', () => {
  const breaker = new BackendBreaker()
  for (let count = 0; count < 5; count++) {
    assert.equal(breaker.allows(0), true)
    breaker.failed(1000, `10.0.0.${count % 2}`)
  }
  assert.equal(breaker.allows(1001), false)
  assert.equal(breaker.allows(30_999), false)
})

test('then one attempt is let through, and its outcome decides', () => {
  const breaker = new BackendBreaker()
  fail(breaker, 5, 0)
  assert.equal(breaker.allows(30_000), true)
  assert.equal(breaker.allows(30_001), false, 'only one')
  fail(breaker, 1, 31_000)
  assert.equal(breaker.allows(60_000), false)
  assert.equal(breaker.allows(61_000), true)
  breaker.succeeded()
  assert.equal(breaker.allows(61_001), true)
  fail(breaker, 1, 61_002)
  assert.equal(breaker.allows(61_003), true, 'the count began anew')
})

test('it tells whether a back-end is tried', () => {
  const breaker = new BackendBreaker()
  fail(breaker, 4, 0)
  assert.equal(breaker.state(1), 'closed')
  fail(breaker, 1, 0)
  assert.equal(breaker.state(1), 'open')
  assert.equal(breaker.state(30_000), 'half-open')
  breaker.allows(30_000)
  assert.equal(breaker.state(30_001), 'half-open')
  fail(breaker, 1, 30_002)
  assert.equal(breaker.state(30_003), 'open')
  breaker.succeeded()
  assert.equal(breaker.state(30_004), 'closed')
})

test('an attempt of which nothing was heard does not spare a back-end for ever', () => {
  const breaker = new BackendBreaker()
  fail(breaker, 5, 0)
  assert.equal(breaker.allows(30_000), true)
  assert.equal(breaker.allows(89_999), false)
  assert.equal(breaker.allows(90_000), true)
})

test('a success between failures keeps a back-end in use', () => {
  const breaker = new BackendBreaker()
  for (let count = 0; count < 50; count++) {
    breaker.failed(0, `10.0.0.${count % 3}`)
    if (count % 4 === 0) breaker.succeeded()
    assert.equal(breaker.allows(0), true)
  }
})

test('what one client alone meets spares nobody a back-end', () => {
  const breaker = new BackendBreaker()
  for (let count = 0; count < 100; count++) breaker.failed(0, '10.0.0.1')
  assert.equal(breaker.allows(1), true)
  breaker.failed(1, '10.0.0.2')
  assert.equal(breaker.allows(2), false)
  breaker.succeeded()
  for (let count = 0; count < 100; count++) breaker.failed(3, '10.0.0.2')
  assert.equal(breaker.allows(4), true, 'who failed before a success does not count')
})
