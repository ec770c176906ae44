import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemClock } from '../../src/backend/system-clock.ts'

test('what is to be called in a year is not called now', (context) => {
  context.mock.timers.enable({ apis: ['setTimeout'] })
  let isCalled = false
  const cancel = systemClock.after(365 * 86_400_000, () => (isCalled = true))
  context.mock.timers.tick(86_400_000)
  assert.equal(isCalled, false)
  cancel()
})
