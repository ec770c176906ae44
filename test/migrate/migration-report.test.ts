import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ErrorCode } from '../../src/base/error.ts'
import {
  describeBytes,
  describeUser,
  endOf,
  exitCodeOf,
  type MigrationReport,
  type UserReport,
} from '../../src/migrate/migration-report.ts'
import { MigrationView } from '../../src/migrate/migration-view.ts'

const ann: UserReport = {
  user: 'ann',
  result: 'done',
  copied: 3,
  bytes: 4_500_000,
  passes: 2,
  ms: 10,
  notes: [],
  problems: [],
  bad: [],
  verified: { mode: 'full', isEqual: true, messages: { source: 3, target: 3 }, folders: [] },
}
const failed = (code: ErrorCode): UserReport => ({
  ...ann,
  result: 'failed',
  error: { code, message: 'why' },
})
const reportOf = (users: readonly UserReport[], untouched = 0): MigrationReport => ({
  from: 'a',
  to: 'b',
  users,
  untouched,
  ms: 1,
  done: 0,
  failed: 0,
  copied: 0,
  bytes: 0,
})

const exits: readonly [string, readonly UserReport[], number, number][] = [
  ['all is done', [ann], 0, 0],
  ['it was ended before all were looked at', [ann], 1, 75],
  ['all that failed may work later', [ann, failed('BACKEND_UNREACHABLE')], 0, 75],
  ['something failed that will not', [failed('MIGRATION_BUSY'), failed('TARGET_FULL')], 0, 1],
  ['something is not equal', [{ ...ann, result: 'failed' }], 1, 1],
]
for (const [what, users, untouched, code] of exits) {
  test(`where ${what}, the exit status is ${code}`, () => {
    assert.equal(exitCodeOf(reportOf(users, untouched)), code)
  })
}

test('a line says what became of all', () => {
  const sums = { copied: 1234, bytes: 4_500_000, ms: 63_000 }
  const some = [ann, ann, failed('TARGET_FULL')]
  assert.deepEqual(endOf({ ...reportOf(some, 2), ...sums }), {
    lines: ['5 users: 2 done, 1 failed, 2 not begun; 1234 messages, 4.5 MB copied in 1m 3s'],
    exitCode: 1,
  })
  const planned = reportOf(Array.from({ length: 2 }, () => ({ ...ann, result: 'planned' })))
  assert.deepEqual(endOf(planned).lines, ['2 users: 2 looked at'])
  assert.deepEqual(endOf(reportOf([ann])), { lines: [], exitCode: 0 })
})

test('a line says what became of a user', () => {
  assert.equal(describeUser(ann), 'ann: done; 3 messages, 4.5 MB copied; 3 verified')
  assert.equal(describeUser(failed('TARGET_FULL')), 'ann: failed: why')
  const folder = {
    source: 'x',
    target: 'y',
    messages: { source: 2, target: 1 },
    missing: [{ uid: 1, sizeBytes: 1 }],
    extra: [],
    differing: [],
  }
  const verified = { ...ann.verified, mode: 'full' as const, isEqual: false, folders: [folder] }
  const messages = { source: 2, target: 1 }
  const unequal = { ...ann, result: 'failed' as const, verified: { ...verified, messages } }
  assert.equal(
    describeUser({ ...unequal, notes: ['x is called y'], problems: ['z: no'] }),
    'ann: not equal; 3 messages, 4.5 MB copied; 1 missing, 0 extra, 0 differ; x is called y; z: no',
  )
})

test('octets are told in the unit that fits', () => {
  assert.deepEqual([0, 999, 1000, 2_500_000, 3e9].map(describeBytes), [
    '0 B',
    '999 B',
    '1.0 kB',
    '2.5 MB',
    '3.0 GB',
  ])
})

test('who looks on sees how fast it goes and how long it will take', () => {
  const view = new MigrationView(3, 0)
  const estimate = { folders: 1, messages: 110 }
  const at = (messages: number, now: number, done = 0): string => {
    const amounts = { messages, bytes: messages * 1000, before: 10, folders: { done, all: 2 } }
    return view.line({ user: 'ann', step: 'copy', ...amounts, estimate }, now)
  }
  assert.equal(at(0, 0), 'ann: 0/2 folders, 10/110 messages, 0 B')
  assert.equal(view.total(0), 'all: 0/3 users, 10/330 messages, 0 B')
  assert.equal(at(20, 2000), 'ann: 0/2 folders, 30/110 messages, 20.0 kB, 10.0 kB/s, 8s left')
  assert.equal(at(100, 10_000, 2), 'ann: 2/2 folders, 110/110 messages, 100.0 kB, 10.0 kB/s')
  assert.equal(view.ended(ann), describeUser(ann))
  const other = { user: 'bob', messages: 0, bytes: 0, before: 0, estimate: undefined }
  assert.equal(view.line({ ...other, step: 'look' }, 0), 'bob: looking')
  assert.equal(view.line({ ...other, step: 'verify' }, 0), 'bob: verifying, 0 messages, 0 B copied')
  const all = 'all: 1/3 users, 110/330 messages, 100.0 kB, 8.3 kB/s, 26s left'
  assert.equal(view.total(12_000), all)
})
