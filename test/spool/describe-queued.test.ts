import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeQueued } from '../../src/spool/describe-queued.ts'

test('a message is told with its envelope, and one thing is not many', () => {
  const message = {
    id: '0mx3b5zhhnozavya0',
    state: 'waiting',
    arrived: '2026-11-30T13:33:00.774Z',
    sender: 'sue@example.net',
    recipients: [],
  } as const
  const once = describeQueued({ ...message, size: 1, attempts: 1 })
  assert.ok(once.includes('  1 byte') && once.includes('  1 attempt'), once.join('\n'))
  const often = describeQueued({ ...message, size: 397, attempts: 2 })
  assert.ok(often.includes('  397 bytes') && often.includes('  2 attempts'), often.join('\n'))
  assert.ok(often.includes('  from sue@example.net'))
})
