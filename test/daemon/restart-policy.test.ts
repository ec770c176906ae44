import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RestartPolicy } from '../../src/daemon/restart-policy.ts'

test('the first four deaths in a minute are replaced at once, then the wait doubles up to a bound', () => {
  const policy = new RestartPolicy()
  const delays = Array.from({ length: 12 }, (_, index) => policy.delayAfterCrash(1000 + index))
  assert.deepEqual(delays, [0, 0, 0, 0, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000])
  assert.equal(policy.crashes, 12)
})

test('deaths that are a minute old are forgiven', () => {
  const policy = new RestartPolicy()
  for (let at = 0; at < 5; at++) policy.delayAfterCrash(at)
  assert.equal(policy.delayAfterCrash(30_000), 2000)
  assert.equal(policy.delayAfterCrash(60_004), 0)
  assert.equal(policy.crashes, 2)
})

test('rare deaths are never punished', () => {
  const policy = new RestartPolicy()
  for (let at = 0; at < 100; at++) assert.equal(policy.delayAfterCrash(at * 20_000), 0)
})
