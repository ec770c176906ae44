/** Servers that answer slowly, and what is asked of them then. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Allowance } from '../../src/backend/allowance.ts'
import { Latency } from '../../src/backend/latency.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'

const { signal } = new AbortController()

test('one slow answer says nothing, several in a row do, and quick ones take it back', () => {
  const latency = new Latency(1_000)
  assert.equal(latency.took(5_000, 0), false)
  for (let count = 0; count < 8; count++) latency.took(100, 0)
  assert.equal(latency.isSlow, false)
  const told = Array.from({ length: 8 }, () => latency.took(2_000, 0))
  assert.equal(told.filter((isTold) => isTold).length, 1, 'what is done about it takes time')
  assert.ok(latency.isSlow && latency.restMs > 1_000 && latency.restMs < 2_000)
  assert.equal(latency.took(2_000, 9_999), false)
  assert.equal(latency.took(2_000, 10_000), true)
  for (let count = 0; count < 8; count++) latency.took(100, 10_000)
  assert.deepEqual([latency.isSlow, latency.restMs], [false, 0])
})

test('rests have a bound, and there are none without a limit', () => {
  const [slow, unlimited] = [new Latency(1), new Latency(0)]
  for (let count = 0; count < 50; count++) {
    slow.took(3_600_000, count)
    assert.equal(unlimited.took(3_600_000, count * 60_000), false)
  }
  assert.deepEqual([slow.restMs, unlimited.restMs], [10_000, 0])
})

function slowServer() {
  const clock = new SimulatedClock()
  const limits = { connections: 24, bytesPerSecond: undefined, latencyLimitMs: 1_000 }
  const allowance = new Allowance({ ...limits, clock })
  const answer = (count: number, ms: number): void => {
    for (let index = 0; index < count; index++) {
      clock.advance(ms)
      allowance.answered(ms)
    }
  }
  return { clock, allowance, answer }
}

test('a slow server gets half as many connections, in turn, and more when it is quick again', () => {
  const { clock, allowance, answer } = slowServer()
  const { seats } = allowance
  for (let count = 0; count < 8; count++) seats.force(3)
  answer(6, 2_000)
  assert.equal(seats.allowed, 12)
  answer(5, 2_000)
  assert.equal(seats.allowed, 6)
  answer(100, 2_000)
  assert.equal(seats.allowed, 3)
  answer(20, 10)
  clock.advance(60_000)
  assert.equal(seats.allowed, 6)
})

test('work rests as long as an answer takes, and not while its user waits', async () => {
  const { clock, allowance, answer } = slowServer()
  const share = allowance.share()
  await share.admit(1, signal)
  answer(60, 3_000)
  const startedAt = clock.now()
  await passTime(clock, share.admit(1, signal))
  assert.equal(Math.round((clock.now() - startedAt) / 100), 30)
  const waiting = share.admit(1, signal)
  share.isUrgent = true
  await waiting
  await share.admit(1, signal)
  assert.equal(Math.round((clock.now() - startedAt) / 100), 30)
})

test('commands wait their turn, in order, and what is urgent waits for none', async () => {
  const clock = new SimulatedClock()
  const limits = { connections: undefined, bytesPerSecond: undefined, commandsPerSecond: 4 }
  const allowance = new Allowance({ ...limits, clock })
  const [one, other] = [allowance.share(), allowance.share()]
  const startedAt = clock.now()
  const sent: number[] = []
  const commands = Array.from({ length: 12 }, async (_, index) => {
    await (index % 2 === 0 ? one : other).command(signal)
    sent.push(index)
  })
  await passTime(clock, Promise.all(commands))
  assert.deepEqual(sent, [...sent.keys()])
  assert.equal(clock.now() - startedAt, 2_000)
  const ended = new AbortController()
  const given = one.command(ended.signal)
  ended.abort(new Error('enough'))
  await assert.rejects(given, { message: 'enough' })
  one.isUrgent = true
  await one.command(signal)
  assert.equal(clock.now() - startedAt, 2_000)
})
