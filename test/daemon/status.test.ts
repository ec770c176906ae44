import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatDuration, statusHeadline, statusTables } from '../../src/control/status-table.ts'
import type { Settings } from '../../src/daemon/settings.ts'
import { numbersOf } from '../../src/daemon/status.ts'
import { parseTestConfig } from '../support/test-runtime.ts'

const config = parseTestConfig(`hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 143, smtp: 25}, ingrid: {host: 127.0.0.1, imap: 143}}
listen: {smtp: ["[::1]:25"], imap: ["127.0.0.1:143", "127.0.0.1:1143"]}
`)
const settings: Settings = {
  config,
  listeners: config.listeners,
  mapFile: '',
  certificates: [],
  authorities: new Map(),
  sessionsPerWorker: 1,
}
const sessions = [
  { service: 'imap', backend: 'fritz' },
  { service: 'imap', backend: undefined },
  { service: 'smtp', backend: 'fritz' },
] as const
const counts = {
  'session:imap': 12,
  'session:smtp': 3,
  'login:imap,ok': 9,
  'login:imap,failed': 2,
  'message:smtp,accepted': 5,
  'refused:imap,line_too_long': 4,
  'refused:smtp,relay_denied': 1,
  'backend_error:ingrid,connect,refused': 7,
  'backend_error:ingrid,login,timeout': 1,
}

test('counts and sessions of the workers are told by service and by back-end', () => {
  assert.deepEqual(numbersOf(settings, sessions, counts), {
    services: [
      {
        service: 'smtp',
        listeners: [{ address: '[::1]:25', tls: 'none' }],
        sessions: 1,
        sessions_total: 3,
        messages: { accepted: 5, deferred: 0, refused: 0 },
        refused: { relay_denied: 1 },
      },
      {
        service: 'imap',
        listeners: [
          { address: '127.0.0.1:143', tls: 'none' },
          { address: '127.0.0.1:1143', tls: 'none' },
        ],
        sessions: 2,
        sessions_total: 12,
        logins: { ok: 9, failed: 2, unavailable: 0 },
        refused: { line_too_long: 4 },
      },
    ],
    backends: [
      { backend: 'fritz', sessions: 2, errors: [] },
      {
        backend: 'ingrid',
        sessions: 0,
        errors: [
          { step: 'connect', reason: 'refused', count: 7 },
          { step: 'login', reason: 'timeout', count: 1 },
        ],
      },
    ],
  })
})

test('a person reads the same numbers in tables', () => {
  const report = {
    pid: 7,
    version: '1.2.3',
    started: '2026-01-01T00:00:00.000Z',
    uptime_ms: 3_725_000,
    state: 'serving',
    config: '/etc/mailmux/mailmux.yaml',
    generation: 42,
    ...numbersOf(settings, sessions, counts),
    workers: [
      {
        worker: 3,
        role: 'worker',
        pid: 8,
        state: 'serving',
        sessions: 3,
        uptime_ms: 5000,
        restarts: 1,
      } as const,
    ],
    log_dropped: 0,
  } as const
  assert.equal(
    statusHeadline(report),
    'mailmux 1.2.3 serving for 1h 2m, pid 7, map generation 42, /etc/mailmux/mailmux.yaml',
  )
  const [services, backends, workers] = statusTables(report).map(({ rows }) => rows)
  assert.deepEqual(services?.[1], [
    'imap',
    '2',
    '12',
    'ok 9, failed 2, unavailable 0',
    'line_too_long 4',
    '127.0.0.1:143, 127.0.0.1:1143',
  ])
  assert.deepEqual(backends, [
    ['fritz', '2', '-'],
    ['ingrid', '0', 'connect refused 7, login timeout 1'],
  ])
  assert.deepEqual(workers, [['3', '8', '3', '1', '5s', 'serving']])
})

const durations = [
  [0, '0s'],
  [999, '0s'],
  [59_000, '59s'],
  [60_000, '1m 0s'],
  [3_725_000, '1h 2m'],
  [90_000_000, '1d 1h'],
  [86_400_000, '1d 0h'],
] as const

test('durations are told in their two largest units', () => {
  for (const [durationMs, text] of durations) assert.equal(formatDuration(durationMs), text)
})
