import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TokenBucket } from '../../src/backend/token-bucket.ts'

const steps = fc.array(
  fc.record({ amount: fc.integer({ min: 0, max: 5_000 }), afterMs: fc.nat(3_000) }),
  { maxLength: 60 },
)

test('what may be used by any moment is no more than the burst and what has come since', () => {
  const rates = fc.integer({ min: 1, max: 10_000 })
  fc.assert(
    fc.property(rates, fc.integer({ min: 1, max: 8_000 }), steps, (rate, burst, taken) => {
      const bucket = new TokenBucket(rate, burst, 0)
      let [now, sum] = [0, 0]
      for (const { amount, afterMs } of taken) {
        now += afterMs
        const at = now + bucket.take(amount, now)
        sum += amount
        assert.ok(sum <= burst + (rate * at) / 1000 + 1e-6 * sum, `${sum} by ${at} ms`)
      }
    }),
    { numRuns: 2_000 },
  )
})

test('nobody waits longer than all that was taken before him takes, and all are served in order', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 10_000 }), steps, (rate, taken) => {
      const bucket = new TokenBucket(rate, 1, 0)
      let [now, sum, last] = [0, 0, 0]
      for (const { amount, afterMs } of taken) {
        now += afterMs
        const waitMs = bucket.take(amount, now)
        sum += amount
        assert.ok(waitMs <= (sum / rate) * 1000 + 1e-6 * sum, `${waitMs} ms for ${sum}`)
        // One who came later goes no earlier.
        assert.ok(waitMs === 0 || now + waitMs >= last - 1e-6 * last, `${now + waitMs} < ${last}`)
        last = now + waitMs
      }
    }),
    { numRuns: 2_000 },
  )
})

test('what is not used is kept up to the burst, and a clock that goes back gives nothing', () => {
  const bucket = new TokenBucket(1_000, 2_000, 0)
  assert.equal(bucket.take(2_000, 0), 0)
  assert.equal(bucket.take(500, 0), 500)
  assert.equal(bucket.take(2_000, 60_000), 0)
  assert.equal(bucket.take(1_000, 30_000), 1_000)
})
