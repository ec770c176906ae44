import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  batchesFor,
  batchLimits,
  flagText,
  groupFlagChanges,
  keptFlags,
  planBatches,
} from '../../src/migrate/plan-messages.ts'

const limits = { messages: 4, bytes: 100, largeBytes: 50 }
const messages = fc
  .array(fc.integer({ min: 0, max: 80 }))
  .map((sizes) => sizes.map((sizeBytes, index) => ({ uid: 1 + index * 2, sizeBytes })))

test('batches hold every message once, in order, and no more than they may', () => {
  fc.assert(
    fc.property(messages, (all) => {
      const batches = planBatches(all, limits)
      const sizeOf = new Map(all.map(({ uid, sizeBytes }) => [uid, sizeBytes]))
      assert.deepEqual(
        batches.flatMap(({ uids }) => [...uids]),
        all.map(({ uid }) => uid),
      )
      for (const { uids, large } of batches) {
        const bytes = [...uids].reduce((sum, uid) => sum + (sizeOf.get(uid) ?? 0), 0)
        if (large === undefined) assert.ok(uids.size <= 4 && bytes <= 100)
        else assert.ok(uids.size === 1 && bytes > 50)
      }
    }),
  )
})

test('the more mailboxes are copied at a time, the less of each is in memory', () => {
  const all = [1, 2, 4, 8, 64].map((atOnce) => batchesFor(atOnce).bytes / 1024)
  assert.deepEqual(all, [4096, 2048, 1024, 512, 512])
  assert.deepEqual(batchesFor(1), batchLimits)
})

test('flags compare without order, \\Recent, and the case of system flags', () => {
  assert.equal(flagText(['b', '\\seen', '\\Recent', 'a', 'b']), '\\Seen a b')
  assert.equal(flagText([]), '')
})

test('a folder keeps the flags that it says, and keywords where it takes any', () => {
  const all = '\\Draft \\Seen NonJunk x'
  assert.deepEqual(keptFlags(all, undefined), ['\\Draft', '\\Seen', 'NonJunk', 'x'])
  assert.deepEqual(keptFlags(all, new Set(['\\Seen', 'nonjunk'])), ['\\Seen', 'NonJunk'])
  assert.deepEqual(keptFlags(all, new Set(['\\Seen', '\\*'])), ['\\Seen', 'NonJunk', 'x'])
})

test('changes to the same flags are one command', () => {
  const changes = groupFlagChanges(
    new Map([
      [9, 'x'],
      [1, ''],
      [8, 'x'],
      [2, 'y'],
    ]),
  )
  assert.deepEqual(
    changes.map(({ uids, flags }) => [flags, uids.toString()]),
    [
      ['x', '8:9'],
      ['', '1'],
      ['y', '2'],
    ],
  )
})
