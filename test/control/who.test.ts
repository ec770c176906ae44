import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseRequest } from '../../src/control/messages.ts'
import type { SessionView } from '../../src/control/session-messages.ts'
import { formatBytes, whoColumns, whoRows } from '../../src/control/who-table.ts'
import { formatTable } from '../../src/cli/table.ts'

test('sizes are told in few characters, and never as more than they are by much', () => {
  const sizes = [
    [0, '0'],
    [999, '999'],
    [1000, '1.0K'],
    [10_239, '10K'],
    [1_048_576, '1.0M'],
    [999 * 1024 ** 2, '999M'],
    [1023 * 1024 ** 3, '1.0T'],
    [Number.MAX_SAFE_INTEGER, '8.0P'],
  ] as const
  for (const [bytes, text] of sizes) assert.equal(formatBytes(bytes), text)
})

const joined: SessionView = {
  session: '1-1',
  service: 'imap',
  state: 'joined',
  peer: '192.0.2.7:49152',
  user: 'ann@example.com',
  login: 'ann',
  backend: 'fritz',
  duration_ms: 3_723_000,
  bytes_in: 12_345,
  bytes_out: 98_765_432,
}

test('a table of sessions keeps to 80 columns where only names are long', () => {
  const sessions: SessionView[] = [
    joined,
    { ...joined, user: `${'long'.repeat(20)}@example.com` },
    { ...joined, state: 'held', peer: '[2001:db8::7]:993', duration_ms: 900 },
  ]
  const lines = formatTable(whoColumns, whoRows(sessions))
  assert.deepEqual(
    lines.map((line) => line.replace(/ +/g, ' ').replace(/(?:long)+\S*…/, 'long…')),
    [
      'USER SERVICE BACK-END CLIENT FOR IN OUT',
      'ann@example.com imap fritz 192.0.2.7 1h2m 12K 94M',
      'long… imap fritz 192.0.2.7 1h2m 12K 94M',
      'ann@example.com imap (held) 2001:db8::7 0s 12K 94M',
    ],
  )
  assert.equal(lines[2]?.length, 80)
  assert.ok(lines.every((line) => line.length <= 80))
})

/** What comes with a request, and whether it is one; what does not belong there is left out. */
const requests = [
  ['who', { limit: 10 }, { limit: 10 }],
  [
    'who',
    { limit: 1e6, after: ['1-2', '3-4'], user: 'ann', evil: 1 },
    { limit: 10_000, after: ['1-2', '3-4'], user: 'ann' },
  ],
  ['who', { limit: 10, after: '1-2' }, undefined],
  ['who', { limit: 0 }, undefined],
  ['who', { limit: '10' }, undefined],
  ['who', undefined, undefined],
  ['kick', { user: 'ann', service: 'imap', from: 7 }, { user: 'ann', service: 'imap' }],
  ['kick', { service: 'imap' }, undefined],
  ['freeze', { user: 'ann', epoch: 0, ttl_ms: 1 }, { user: 'ann', epoch: 0, ttl_ms: 1 }],
  ['freeze', { user: 'ann', epoch: -1, ttl_ms: 1 }, undefined],
  ['freeze', { user: 'ann', epoch: 1.5, ttl_ms: 1 }, undefined],
  ['freeze', { user: 'ann', epoch: 1, ttl_ms: 0 }, undefined],
  ['freeze', { epoch: 1, ttl_ms: 1 }, undefined],
  ['thaw', { user: 'ann', epoch: 1 }, { user: 'ann', epoch: 1 }],
  ['thaw', { user: ['ann'], epoch: 1 }, undefined],
  ['drain', { within_ms: 0 }, { within_ms: 0 }],
  ['drain', {}, undefined],
] as const

test('requests about sessions are read whole, or refused', () => {
  for (const [verb, details, expected] of requests) {
    const text = JSON.stringify({ v: 1, do: verb, with: details })
    const parsed = parseRequest(text)
    const read = 'request' in parsed ? parsed.request.with : undefined
    assert.deepEqual(read, expected, text)
    if (expected === undefined) {
      assert.equal('refused' in parsed ? parsed.refused.code : '', 'BAD_REQUEST', text)
    }
  }
})
