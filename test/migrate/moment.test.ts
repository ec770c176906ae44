/** Times of moves, as people write and read them, also in nights in which clocks are set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeMoment, describeWhen, momentOf } from '../../src/migrate/moment.ts'
import { inTimeZone } from '../support/time-zone.ts'

inTimeZone('Europe/Berlin')

const noon = Date.UTC(2026, 11, 1, 11)

for (const [text, shown] of [
  ['22:30', '2026-12-01 22:30 +01:00'],
  ['12:00', '2026-12-02 12:00 +01:00'],
  ['1:05', '2026-12-02 01:05 +01:00'],
  ['2026-12-24T18:00', '2026-12-24 18:00 +01:00'],
  ['2026-12-24 18:00:30', '2026-12-24 18:00:30 +01:00'],
  ['2026-12-24T18:00Z', '2026-12-24 19:00 +01:00'],
  ['2027-07-01T09:00-05:30', '2027-07-01 16:30 +02:00'],
  ['2027-07-01T09:00+0200', '2027-07-01 09:00 +02:00'],
  // Twice in that night: the first.
  ['2027-10-31T02:30', '2027-10-31 02:30 +02:00'],
  ['2028-02-29T00:00', '2028-02-29 00:00 +01:00'],
] as const) {
  test(`${text} is ${shown}`, () => {
    const at = momentOf(text, noon)
    assert.equal(typeof at === 'number' && describeMoment(at), shown)
  })
}

for (const [text, why] of [
  ['tonight', /^tonight: write 22:30, /],
  ['24:00', /there is no such time/],
  ['22:60', /there is no such time/],
  ['2026-02-29T10:00', /there is no such date or time/],
  ['2026-13-01T10:00', /there is no such date or time/],
  ['2026-12-01T25:00', /there is no such date or time/],
  ['2026-12-01', /write 22:30/],
  ['2026-12-01T22:30+99:00', /write 22:30/],
  ['2026-12-01T22:30+01:60', /write 22:30/],
  ['2027-03-28T02:30', /clocks go forward/],
] as const) {
  test(`${text} is refused`, () => {
    assert.throws(() => momentOf(text, noon), { code: 'USAGE', message: why })
  })
}

test('an hour that is left out in the next night is that of the night after', () => {
  const at = momentOf('2:30', Date.UTC(2027, 2, 27, 20))
  assert.equal(typeof at === 'number' && describeMoment(at), '2027-03-29 02:30 +02:00')
})

test('who gave a time is told it in full, and how long that is', () => {
  const at = momentOf('22:30', noon)
  assert.equal(
    typeof at === 'number' && describeWhen('ann', at, noon),
    'ann: moves at 2026-12-01 22:30 +01:00, in 10 h 30 min',
  )
  assert.match(describeWhen('ann', noon + 2_000, noon), /, in 2 s$/)
  assert.match(describeWhen('ann', noon + 3 * 86_400_000, noon), /, in 3 d 0 h$/)
})
