/** What may be taken in a day: counted by all, durable, and anew at midnight. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { dayOf, DayLimit } from '../../src/backend/day-limit.ts'
import { DayLedger } from '../../src/map/state/day-ledger.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'
import { tempDir } from '../support/temp-dir.ts'

const noon = new Date(2026, 2, 27, 12).getTime()
const hour = 3_600_000
const limitOf = (counts: DayLedger, clock: SimulatedClock, mostBytes = 1_000): DayLimit =>
  new DayLimit({ server: 'fritz', mostBytes, counts, clock })
const refused = { code: 'DAY_LIMIT_REACHED' }

test('two processes together take no more than one may, and midnight begins anew', async () => {
  using dir = tempDir()
  const clock = new SimulatedClock(noon)
  using mine = await DayLedger.open(dir.path)
  using others = await DayLedger.open(dir.path)
  const [here, there] = [limitOf(mine, clock), limitOf(others, clock)]
  here.admit(400, false)
  there.admit(400, false)
  assert.throws(() => here.admit(300, false), refused)
  there.admit(200, false)
  // That of another server is counted for itself.
  new DayLimit({ server: 'ingrid', mostBytes: 1_000, counts: mine, clock }).admit(900, false)
  clock.advance(12 * hour)
  here.admit(400, false)
  assert.deepEqual(
    ['2026-03-27', '2026-03-28'].map((day) => mine.taken({ server: 'fritz', day })),
    // What was not taken of what was written down is given back.
    [600, 400],
  )
})

test('what was taken and not foreseen is counted with the next, what was not taken is given back', async () => {
  using dir = tempDir()
  const clock = new SimulatedClock(noon)
  using counts = await DayLedger.open(dir.path)
  const today = { server: 'fritz', day: dayOf(noon) }
  const limit = limitOf(counts, clock)
  limit.admit(100, false)
  limit.spend(250)
  limit.admit(100, false)
  assert.equal(counts.taken(today), 350)
  limit.forgo()
  limit.admit(50, false)
  assert.equal(counts.taken(today), 300)
  limit.settle()
  assert.equal(counts.taken(today), 250)
})

test('what is urgent is counted and not refused; one message larger than half is not for ever', async () => {
  using dir = tempDir()
  const clock = new SimulatedClock(noon)
  using counts = await DayLedger.open(dir.path)
  const limit = limitOf(counts, clock)
  limit.admit(5_000, false)
  assert.throws(() => limit.admit(1, false), refused)
  limit.admit(10, true)
  assert.equal(counts.taken({ server: 'fritz', day: dayOf(noon) }), 5_010)
})

test('whatever is asked for, a day has no more than its limit, but for one large piece', async () => {
  using dir = tempDir()
  using counts = await DayLedger.open(dir.path)
  const work = fc.array(
    fc.record({ bytes: fc.integer({ min: 1, max: 400 }), hours: fc.nat(5), who: fc.nat(1) }),
    { maxLength: 30 },
  )
  let run = 0
  fc.assert(
    fc.property(work, (pieces) => {
      const server = `server ${++run}`
      const clock = new SimulatedClock(noon)
      const options = { server, mostBytes: 1_000, counts, clock }
      const both = [new DayLimit(options), new DayLimit(options)] as const
      const taken = new Map<string, number>()
      for (const { bytes, hours, who } of pieces) {
        clock.advance(hours * hour)
        const limit = both[who === 0 ? 0 : 1]
        const day = dayOf(clock.wall())
        const before = taken.get(day) ?? 0
        try {
          limit.admit(bytes, false)
          limit.spend(bytes)
          taken.set(day, before + bytes)
        } catch (error) {
          assert.equal((error as { code?: string }).code, refused.code)
          assert.ok(before + bytes > 1_000, `${bytes} after ${before}`)
        }
        assert.ok((taken.get(day) ?? 0) <= 1_000)
      }
    }),
    { numRuns: 60 },
  )
})
