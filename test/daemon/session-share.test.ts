import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shareOf } from '../../src/daemon/session-share.ts'

const cases = [
  { sessions: 20_000, workers: 2, openFiles: 1_000_000, share: 10_000 },
  { sessions: 5, workers: 2, openFiles: 1_000_000, share: 3 },
  { sessions: 20_000, workers: 2, openFiles: 2048, share: 992 },
  { sessions: 20_000, workers: 1, openFiles: 64, share: 1 },
  { sessions: 1, workers: 8, openFiles: Number.POSITIVE_INFINITY, share: 1 },
]

test('a worker has its share of the sessions, and no more than its descriptors carry', () => {
  for (const { sessions, workers, openFiles, share } of cases) {
    assert.equal(shareOf(sessions, workers, openFiles), share)
  }
})
