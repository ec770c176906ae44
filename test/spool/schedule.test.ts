import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isGivenUp, isLate, retryWaitMs, waitUntilMs } from '../../src/spool/schedule.ts'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour
const patience = { maxAgeMs: 5 * day, warnAfterMs: 4 * hour }

test('waits grow from a minute to an hour, each by at most a fifth shorter or longer', () => {
  const waits = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((attempts) => retryWaitMs(attempts, 0.5) / minute)
  assert.deepEqual(waits, [1, 2, 5, 10, 20, 40, 60, 60, 60])
  fc.assert(
    fc.property(fc.nat(200), fc.double({ min: 0, max: 1, noNaN: true }), (attempts, random) => {
      const [middle, wait] = [retryWaitMs(attempts, 0.5), retryWaitMs(attempts, random)]
      assert.ok(wait >= middle * 0.8 - 1 && wait <= middle * 1.2 + 1)
    }),
  )
})

test('a back-end that is down for five days gives one warning and one end', () => {
  for (const random of [0, 0.5, 1]) {
    let ageMs = 0
    let attempts = 0
    let warnedAt = 0
    while (!isGivenUp({ ageMs, attempts }, patience)) {
      attempts++
      if (warnedAt === 0 && isLate({ ageMs, attempts }, patience)) warnedAt = ageMs
      ageMs += retryWaitMs(attempts, random)
    }
    assert.ok(warnedAt >= 4 * hour && warnedAt < 5.5 * hour, `${warnedAt / hour} h`)
    assert.ok(ageMs >= 5 * day && ageMs < 5 * day + 1.5 * hour, `${ageMs / day} d`)
    assert.ok(attempts > 90 && attempts < 160, `${attempts} attempts`)
  }
})

test('a clock that was set makes no wait longer than the schedule has it, and none negative', () => {
  const wall = Date.UTC(2026, 0, 5)
  const next = wall + 10 * minute
  assert.equal(waitUntilMs(next, wall, 4), 10 * minute)
  assert.equal(waitUntilMs(undefined, wall, 0), 0)
  for (const step of [-30 * day, -day, day, 30 * day]) {
    const wait = waitUntilMs(next, wall + step, 4)
    assert.ok(wait >= 0 && wait <= 12 * minute, `${step / day} d: ${wait / minute} min`)
  }
})

test('an age alone ends nothing: what has hardly been tried is tried on', () => {
  assert.equal(isGivenUp({ ageMs: 30 * day, attempts: 1 }, patience), false)
  assert.equal(isGivenUp({ ageMs: 30 * day, attempts: 10 }, patience), true)
  assert.equal(isGivenUp({ ageMs: 4.9 * day, attempts: 1000 }, patience), false)
  assert.equal(isLate({ ageMs: 30 * day, attempts: 1 }, patience), false)
  // Where little patience is asked for, as many attempts as fit into it are enough.
  assert.equal(isGivenUp({ ageMs: minute, attempts: 1 }, { ...patience, maxAgeMs: minute }), true)
})
