/** Hours of the week, also over midnight, and in nights in which clocks are set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { longestMs, openingAt, parseWindow, type Window } from '../../src/base/window.ts'
import { inTimeZone } from '../support/time-zone.ts'

inTimeZone('Europe/Berlin')

function windowsOf(texts: readonly string[]): Window[] {
  return texts.map((text) => parseWindow(text) ?? assert.fail(text))
}

function shown(ms: number): string {
  if (!Number.isFinite(ms)) return 'never'
  const date = new Date(ms)
  const day = date.toLocaleString('en', { weekday: 'short' }).toLowerCase()
  return `${day} ${date.toLocaleString('de', { hour: '2-digit', minute: '2-digit' })}`
}

const at = (text: string): number => new Date(text).getTime()

// Friday is 2026-12-04; clocks go forward on Sunday 2027-03-28, and back on Sunday 2027-10-31.
for (const [texts, now, opens, closes] of [
  [['22:00-06:00'], '2026-12-04T12:00', 'fri 22:00', 'sat 06:00'],
  [['22:00-06:00'], '2026-12-04T05:59', 'thu 22:00', 'fri 06:00'],
  [['22:00-06:00'], '2026-12-04T06:00', 'fri 22:00', 'sat 06:00'],
  [['mon-fri 22:00-06:00'], '2026-12-05T07:00', 'mon 22:00', 'tue 06:00'],
  [['mon-fri 22:00-06:00'], '2026-12-05T05:00', 'fri 22:00', 'sat 06:00'],
  [['fri-mon 01:00-02:00'], '2026-12-05T03:00', 'sun 01:00', 'sun 02:00'],
  [['sat,sun 00:00-24:00'], '2026-12-05T03:00', 'sat 00:00', 'mon 00:00'],
  [['fri 22:00-06:00', 'sat,sun 00:00-24:00'], '2026-12-04T23:00', 'fri 22:00', 'mon 00:00'],
  [['12:00-13:00', '03:00-04:00'], '2026-12-04T05:00', 'fri 12:00', 'fri 13:00'],
  [['thu 10:00-11:00'], '2026-12-04T12:00', 'thu 10:00', 'thu 11:00'],
  [['00:00-12:00', '12:00-24:00'], '2026-12-04T12:00', 'thu 00:00', 'never'],
  [['02:00-04:00'], '2027-03-28T00:30', 'sun 03:00', 'sun 04:00'],
  [['01:00-05:00'], '2027-10-31T00:30', 'sun 01:00', 'sun 05:00'],
] as const) {
  test(`at ${now}, ${texts.join(' and ')} is open from ${opens} to ${closes}`, () => {
    const { opensAt, closesAt } = openingAt(windowsOf(texts), at(now))
    assert.deepEqual([shown(opensAt), shown(closesAt)], [opens, closes])
  })
}

test('a night in which clocks go back has an hour more', () => {
  const { opensAt, closesAt } = openingAt(windowsOf(['01:00-05:00']), at('2027-10-31T00:30'))
  assert.equal(closesAt - opensAt, 5 * 3_600_000)
})

for (const text of [
  '',
  '22:00',
  '22-06',
  '24:00-06:00',
  '22:60-06:00',
  '22:00-24:01',
  '22:00-22:00',
  'day 22:00-06:00',
  'mon-fri-sun 22:00-06:00',
  'mon- 22:00-06:00',
  'mon 22:00-06:00 x',
]) {
  test(`${JSON.stringify(text)} is no window`, () => assert.equal(parseWindow(text), undefined))
}

test('the longest of windows is found wherever in the week it is, and whatever meets it', () => {
  const now = at('2026-12-02T10:00')
  const minutesOf = (...texts: string[]): number => longestMs(windowsOf(texts), now) / 60_000
  assert.equal(minutesOf('22:00-22:01'), 1)
  assert.equal(minutesOf('09:59-10:30', 'sun 02:00-03:00'), 60)
  assert.equal(minutesOf('mon 22:00-24:00', 'tue 00:00-01:00', '12:00-13:00'), 180)
  assert.equal(minutesOf('00:00-24:00'), Number.POSITIVE_INFINITY)
})

test('what is open now has begun and has not ended; what opens next has not begun', () => {
  const minutes = fc.nat(1439)
  const windows = fc.array(
    fc.record({
      days: fc.uniqueArray(fc.nat(6), { minLength: 1 }).map((days) => new Set(days)),
      start: minutes,
      end: minutes,
    }),
    { minLength: 1, maxLength: 3 },
  )
  const some = windows.filter((all) => all.every(({ start, end }) => start !== end))
  const now = fc.integer({ min: at('2026-01-01T00:00'), max: at('2028-01-01T00:00') })
  fc.assert(
    fc.property(some, now, (all, ms) => {
      const { opensAt, closesAt } = openingAt(all, ms)
      assert.ok(closesAt > ms && opensAt < closesAt)
      // A moment before it ends, it is the same.
      const last = Number.isFinite(closesAt) ? closesAt - 1 : ms
      assert.equal(openingAt(all, last).closesAt, closesAt)
    }),
    { numRuns: 500 },
  )
})
