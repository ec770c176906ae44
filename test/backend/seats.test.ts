/** Connections of a run to one server: how many, who waits, and what is done when it is too much. */
import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import fc from 'fast-check'
import { Allowance } from '../../src/backend/allowance.ts'
import { Seats } from '../../src/backend/seats.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const { signal } = new AbortController()

function seatsOf(
  most: number,
  clock = new SimulatedClock(),
): { seats: Seats; clock: SimulatedClock } {
  return { seats: new Seats({ most, clock, random: () => 0.5 }), clock }
}

test('who finds no room waits for it, first come, first served', async () => {
  const { seats } = seatsOf(6)
  await seats.take(3, signal)
  await seats.take(3, signal)
  const order: string[] = []
  const large = seats.take(5, signal).then(() => order.push('large'))
  const small = seats.take(1, signal).then(() => order.push('small'))
  seats.give(3)
  await turn()
  assert.deepEqual([order, seats.taken, seats.tryTake(1)], [[], 3, true])
  seats.give(4)
  await Promise.all([large, small])
  assert.deepEqual([order, seats.taken], [['large', 'small'], 6])
})

test('who gives up waits no longer, and keeps nobody waiting', async () => {
  const { seats } = seatsOf(3)
  await seats.take(2, signal)
  const ended = new AbortController()
  const first = seats.take(2, ended.signal)
  const second = seats.take(1, signal)
  ended.abort(new Error('enough'))
  await assert.rejects(first, { message: 'enough' })
  await second
  assert.equal(seats.taken, 3)
})

test('a refusal halves what may be taken, after a pause that doubles; then it climbs again', async () => {
  const { seats, clock } = seatsOf(24)
  for (let count = 0; count < 8; count++) await seats.take(3, signal)
  seats.refused()
  // Others hear of the same.
  seats.refused()
  assert.equal(seats.allowed, 12)
  seats.give(24)
  let isTaken = false
  const taken = seats.take(3, signal).then(() => (isTaken = true))
  clock.advance(999)
  await turn()
  assert.equal(isTaken, false)
  clock.advance(1)
  await taken
  seats.refused()
  assert.equal(seats.allowed, 3, 'of what was in use')
  const pause = seats.pause(signal).then(() => (isTaken = false))
  clock.advance(1_999)
  await turn()
  assert.equal(isTaken, true)
  clock.advance(1)
  await pause
  clock.advance(60_000)
  assert.equal(seats.allowed, 6)
  clock.advance(600_000)
  assert.equal(seats.allowed, 24)
})

test('who waits is served when it climbs, though nobody gives anything back', async () => {
  const { seats, clock } = seatsOf(9)
  await seats.take(3, signal)
  seats.refused()
  const second = seats.take(3, signal)
  clock.advance(61_000)
  await second
  assert.equal(seats.taken, 6)
})

test('ten refusals in a row, and waiting is in vain, until it has done something', () => {
  const { seats, clock } = seatsOf(9)
  let paused = 0
  for (let count = 0; count < 10; count++) {
    assert.equal(seats.isHopeless, false, `${count}`)
    const before = clock.now()
    seats.refused()
    while (!seats.tryTake(1)) clock.advance(1_000)
    seats.give(1)
    paused += clock.now() - before
  }
  assert.equal(seats.isHopeless, true)
  seats.refused()
  assert.equal(seats.tryTake(1), false)
  seats.endPause()
  assert.equal(seats.tryTake(1), true, 'who comes next tries once')
  assert.ok(paused > 600_000 && paused < 1_500_000, `${paused} ms`)
  seats.eased()
  assert.equal(seats.isHopeless, false)
})

test('whatever comes, no more are taken than may be, and everybody is served in the end', async () => {
  const acts = fc.array(
    fc.record({
      count: fc.integer({ min: 1, max: 3 }),
      kind: fc.constantFrom('take', 'take', 'give', 'refused', 'wait'),
    }),
    { maxLength: 40 },
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 3, max: 12 }), acts, async (most, all) => {
      const { seats, clock } = seatsOf(most)
      const held: number[] = []
      const waiting = new Set<Promise<void>>()
      const giveOne = (): void => {
        const count = held.shift()
        if (count !== undefined) seats.give(count)
      }
      for (const { kind, count } of all) {
        if (kind === 'take') {
          const taking = seats.take(count, signal)
          waiting.add(taking)
          void taking.then(() => (held.push(count), waiting.delete(taking)))
        } else if (kind === 'give') giveOne()
        else if (kind === 'refused') seats.refused()
        else clock.advance(5_000)
        await turn()
        assert.ok(seats.taken <= most, `${seats.taken} of ${most}`)
        assert.equal(
          seats.taken,
          held.reduce((sum, one) => sum + one, 0),
        )
      }
      for (let rounds = 0; waiting.size > 0 || held.length > 0; rounds++) {
        assert.ok(rounds < 200, `${waiting.size} wait`)
        giveOne()
        clock.advance(400_000)
        await turn()
      }
      assert.deepEqual([seats.taken, clock.nextDueMs], [0, Number.POSITIVE_INFINITY])
    }),
    { numRuns: 150 },
  )
})

test('who is urgent waits for no room, and takes no more than must be where there is none', async () => {
  const limits = { connections: 6, bytesPerSecond: undefined }
  const allowance = new Allowance({ ...limits, clock: new SimulatedClock() })
  using _other = await allowance.share().seats(6, signal)
  const share = allowance.share()
  share.isUrgent = true
  using _own = await share.seats(3, signal)
  assert.equal(allowance.seats.taken, 9)
  assert.equal(share.trySeats(2), undefined)
})
