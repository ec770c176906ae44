/** When moves are gone on with that no command works on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dueAt, movesDue } from '../../../src/map/state/move-due.ts'
import type { Move, MoveDetails, MoveStep } from '../../../src/map/state/move-journal.ts'

const minute = 60_000
const day = 1440 * minute
const flippedAt = 1_000_000
const later = flippedAt + 99 * day

function moveOf(step: MoveStep, details: Partial<MoveDetails> = {}, id = 1, user = 'ann'): Move {
  const done = { passes: 0, copied: 0, bytes: 0, freezes: 0, sweeps: 0, stragglers: 0 }
  const route = { source: 'fritz', target: 'ingrid', login: user, value: 'ingrid' }
  const plan = { ...route, user, isReturn: false, merge: false, maxBad: 0 }
  const times = { startedAt: 0, changedAt: flippedAt }
  return { ...plan, ...times, id, step, epoch: 1, details: { ...done, ...details } }
}

test('what was left is swept a minute, ten minutes and an hour after the flip, and every day', () => {
  const swept: number[] = []
  for (let sweptAt = flippedAt; swept.length < 6; ) {
    sweptAt = dueAt(moveOf('kept', { flippedAt, sweptAt }), later) ?? assert.fail()
    swept.push((sweptAt - flippedAt) / minute)
  }
  assert.deepEqual(swept, [1, 10, 60, 1440, 2880, 4320])
})

test('a sweep that comes late is not made up for', () => {
  const late = moveOf('kept', { flippedAt, sweptAt: flippedAt + 5 * day + minute })
  assert.equal(dueAt(late, later), flippedAt + 6 * day)
  assert.equal(
    dueAt(moveOf('kept'), later),
    flippedAt + minute,
    'one without times counts by its step',
  )
})

test('a move with a time is due then, unless it has stopped or is over', () => {
  for (const step of ['planned', 'copying', 'waiting', 'freezing', 'giving_up'] as const) {
    assert.equal(dueAt(moveOf(step, { at: 7 }), later), 7, step)
    assert.equal(dueAt(moveOf(step), later), undefined, step)
  }
  for (const step of ['stopped', 'aborted', 'ended', 'purging', 'purged'] as const) {
    assert.equal(dueAt(moveOf(step, { at: 7, flippedAt }), later), undefined, step)
  }
})

test('a move that was killed after the flip is due at once', () => {
  for (const step of ['flipped', 'sweeping'] as const) {
    assert.equal(dueAt(moveOf(step, { flippedAt }), later), flippedAt)
  }
})

const backends = new Set(['fritz', 'ingrid'])
const due = (...moves: Move[]) => movesDue(moves, flippedAt + day, backends).map(({ id }) => id)
const kept = (id: number, user = 'ann') => moveOf('kept', { flippedAt }, id, user)

test('of each user the last move alone counts, and one that was given up hides no sweep', () => {
  assert.deepEqual(due(kept(1), kept(2, 'bob'), kept(3)), [2, 3])
  assert.deepEqual(due(kept(1), moveOf('aborted', {}, 2)), [1])
  assert.deepEqual(due(kept(1), moveOf('copying', {}, 2)), [])
  assert.deepEqual(due(moveOf('waiting', { at: 1 }, 1), moveOf('aborted', {}, 2)), [])
})

test('what was swept while the clock was ahead is due again the day after it was put right', () => {
  const ahead = moveOf('kept', { flippedAt, sweptAt: flippedAt + 365 * day })
  assert.equal(dueAt(ahead, flippedAt + 2 * day), flippedAt + 3 * day)
  assert.equal(dueAt(ahead, flippedAt - day), flippedAt + minute, 'or behind')
})

test('what is of a back-end that the config has no more is nobody’s to sweep', () => {
  const gone = { ...kept(1), source: 'ulla' }
  assert.deepEqual(due(gone, kept(2, 'bob')), [2])
})
