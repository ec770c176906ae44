/** A migration that goes on in the next window: what is done again there, and what is not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseWindow } from '../../src/base/window.ts'
import { WindowedRun } from '../../src/migrate/in-windows.ts'
import type { UserReport } from '../../src/migrate/migration-report.ts'
import { RunLimits } from '../../src/migrate/run-limits.ts'
import { unlimited } from '../support/mailbox-pair.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'

const hour = 3_600_000
const friday = new Date(2026, 11, 4, 23).getTime()
const ann = { user: 'ann', passes: 1, bytes: 10, ms: 5, notes: [], problems: [], bad: [] }
const done: UserReport = { ...ann, result: 'done', copied: 2 }

function limitsOf(windows: readonly string[], clock = new SimulatedClock(friday)): RunLimits {
  const config = { backends: new Map(), migrate: { windows: [], outside: unlimited }, stateDir: '' }
  const parsed = windows.map((text) => parseWindow(text) ?? assert.fail(text))
  return new RunLimits(config, clock, parsed)
}

function runOf(waits: boolean) {
  const clock = new SimulatedClock(friday)
  const limits = limitsOf(['22:00-06:00'], clock)
  const opens: number[] = []
  const { signal } = new AbortController()
  const onClosed = (at: number): void => void opens.push(at)
  const closed: UserReport = { ...done, result: 'failed', error: limits.closed }
  return { clock, opens, closed, run: new WindowedRun({ limits, waits, onClosed, signal }) }
}

test('a mailbox is copied until it is through, and what was copied is added up', async () => {
  const { clock, opens, closed, run } = runOf(true)
  let copies = 0
  const copy = async (): Promise<UserReport> => {
    clock.advance(8 * hour)
    return ++copies < 3 ? closed : done
  }
  const report = await passTime(clock, run.through({ copy, move: undefined }))
  assert.deepEqual([report?.result, report?.copied, report?.passes], ['done', 6, 3])
  assert.equal(opens.length, 2)
})

test('windows that are all too short for a freeze are refused before anything is copied', () => {
  const short = limitsOf(['22:00-22:01', 'sat 03:00-03:01'])
  assert.throws(() => short.checkRoomForFreeze(90_000), {
    code: 'USAGE',
    message: /the longest window for copying has 60 s, and a freeze may take 90 s/,
  })
  limitsOf(['22:00-22:01', 'sat 03:00-03:02']).checkRoomForFreeze(90_000)
  limitsOf([]).checkRoomForFreeze(90_000)
})

test('a user whose move was begun is not copied again in the next window', async () => {
  const { clock, closed, run } = runOf(true)
  const calls: string[] = []
  const copy = async (): Promise<UserReport> => (calls.push('copy'), done)
  const move = async (): Promise<UserReport> => {
    calls.push('move')
    return calls.length < 3 ? closed : { ...done, moved: { freeze_ms: 1 } }
  }
  // It is open still, but too late for a freeze.
  const report = await passTime(clock, run.through({ copy, move }))
  assert.deepEqual(calls, ['copy', 'move', 'move'])
  assert.deepEqual([report?.copied, report?.moved?.freeze_ms], [2, 1])
  assert.equal(new Date(clock.wall()).getHours(), 22)
})

test('one that is not to wait tells of a move that was not begun, and begins no mailbox', async () => {
  const { clock, run } = runOf(false)
  const copy = async (): Promise<UserReport> => (clock.advance(8 * hour), done)
  const move = (): Promise<UserReport> => assert.fail(`it is closed at ${clock.wall()}`)
  const report = await run.through({ copy, move })
  assert.deepEqual([report?.result, report?.error?.code], ['failed', 'WINDOW_CLOSED'])
  assert.equal(await run.through({ copy, move }), undefined)
})
