import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { StatusReport } from '../../src/control/messages.ts'
import { statusHeadlines, statusTables } from '../../src/control/status-table.ts'
import { formatDuration, wrapWords } from '../../src/control/status-text.ts'
import type { PortHealth } from '../../src/daemon/backend-health.ts'
import type { Settings } from '../../src/daemon/settings.ts'
import { type Figures, numbersOf } from '../../src/daemon/status.ts'
import { parseTestConfig } from '../support/test-runtime.ts'

const config = parseTestConfig(`hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, imap: 143, lmtp: 24, smtp: 25}, ingrid: {host: 127.0.0.1, imap: 143}}
listen: {smtp: ["[::1]:25"], imap: ["127.0.0.1:143", "127.0.0.1:1143"]}
`)
const settings: Settings = {
  config,
  listeners: config.listeners,
  mapFile: '',
  certificates: [],
  backendPems: new Map(),
  sessionsPerWorker: 1,
}
const started = Date.parse('2026-01-01T00:00:00.000Z')
const ports: Readonly<Record<string, PortHealth>> = {
  'fritz imap': { state: 'up', since: started, lastError: undefined },
  'ingrid imap': {
    state: 'down',
    since: started + 3_665_000,
    lastError: {
      at: started + 3_720_000,
      step: 'connect',
      reason: 'refused',
      text: 'ECONNREFUSED',
    },
  },
}
const figures: Figures = {
  settings,
  sessions: [
    { service: 'imap', backend: 'fritz', count: 3 },
    { service: 'imap', backend: undefined, count: 1 },
    { service: 'smtp', backend: 'fritz', count: 2 },
    { service: 'lmtp', backend: 'fritz', count: 1 },
    { service: 'imap', backend: 'fritz', count: 1 },
  ],
  counts: {
    'session:imap': 12,
    'session:smtp': 3,
    'login:imap,ok': 9,
    'login:imap,failed': 2,
    'message:smtp,accepted': 5,
    'refused:imap,line_too_long': 4,
    'refused:smtp,relay_denied': 1,
    'refused:smtp,bare_lf': 8,
    'backend_login:fritz,imap,ok': 9,
    'backend_login:ingrid,imap,unavailable': 8,
    'backend_message:fritz,accepted': 5,
    'backend_message:fritz,spooled': 3,
    'delivery:fritz,delivered': 2,
    'backend_failure:fritz,smtp': 1,
    'backend_failure:fritz,lmtp': 4,
    'backend_error:ingrid,connect,refused': 7,
    'backend_error:ingrid,login,timeout': 1,
    'backend_failure:ingrid,imap': 8,
  },
  lastMinute: { 'session:imap': 2, 'login:imap,ok': 1, 'backend_login:fritz,imap,ok': 1 },
  breakers: [
    { backend: 'fritz', protocol: 'lmtp', state: 'closed' },
    { backend: 'fritz', protocol: 'lmtp', state: 'open' },
    { backend: 'fritz', protocol: 'lmtp', state: 'half-open' },
  ],
  health: {
    of: (backend, protocol) =>
      ports[`${backend} ${protocol}`] ?? { state: 'unknown', since: started, lastError: undefined },
  },
}
const since = '2026-01-01T00:00:00.000Z'
const none = { requests: 0, failures: 0 }

test('counts and sessions of the workers are told by service', () => {
  assert.deepEqual(numbersOf(figures).services, [
    {
      service: 'smtp',
      listeners: [{ address: '[::1]:25', tls: 'none' }],
      sessions: 2,
      sessions_total: 3,
      messages: { accepted: 5, deferred: 0, refused: 0 },
      last_minute: { sessions: 0, messages: 0, refused: 0 },
      refused: { relay_denied: 1, bare_lf: 8 },
    },
    {
      service: 'imap',
      listeners: [
        { address: '127.0.0.1:143', tls: 'none' },
        { address: '127.0.0.1:1143', tls: 'none' },
      ],
      sessions: 5,
      sessions_total: 12,
      logins: { ok: 9, failed: 2, unavailable: 0 },
      last_minute: { sessions: 2, logins: 1, refused: 0 },
      refused: { line_too_long: 4 },
    },
  ])
})

test('of each back-end it is told by port whether it answers, what was asked of it, what failed', () => {
  assert.deepEqual(numbersOf(figures).backends, [
    {
      backend: 'fritz',
      sessions: 7,
      protocols: [
        {
          protocol: 'smtp',
          state: 'unknown',
          since,
          sessions: 0,
          messages: { accepted: 0, deferred: 0, refused: 0, spooled: 0, delivered: 0 },
          failures: 0,
          last_minute: none,
          breaker: 'closed',
        },
        // Messages go to the LMTP port where there are both, however they came.
        {
          protocol: 'lmtp',
          state: 'unknown',
          since,
          sessions: 3,
          messages: { accepted: 5, deferred: 0, refused: 0, spooled: 3, delivered: 2 },
          failures: 5,
          last_minute: none,
          breaker: 'open',
        },
        {
          protocol: 'imap',
          state: 'up',
          since,
          sessions: 4,
          logins: { ok: 9, failed: 0, unavailable: 0 },
          failures: 0,
          last_minute: { requests: 1, failures: 0 },
        },
      ],
      errors: [],
    },
    {
      backend: 'ingrid',
      sessions: 0,
      protocols: [
        {
          protocol: 'imap',
          state: 'down',
          since: '2026-01-01T01:01:05.000Z',
          sessions: 0,
          logins: { ok: 0, failed: 0, unavailable: 8 },
          failures: 8,
          last_minute: none,
          last_error: {
            at: '2026-01-01T01:02:00.000Z',
            step: 'connect',
            reason: 'refused',
            text: 'ECONNREFUSED',
          },
        },
      ],
      errors: [
        { step: 'connect', reason: 'refused', count: 7 },
        { step: 'login', reason: 'timeout', count: 1 },
      ],
    },
  ])
})

const report: StatusReport = {
  pid: 7,
  version: '1.2.3',
  started: since,
  uptime_ms: 3_725_000,
  state: 'serving',
  config: '/etc/mailmux/mailmux.yaml',
  generation: 42,
  map_built: '2025-12-31T23:00:00.000Z',
  ...numbersOf(figures),
  workers: [
    {
      worker: 3,
      role: 'worker',
      pid: 8,
      state: 'serving',
      sessions: 3,
      uptime_ms: 5000,
      restarts: 0,
    },
  ],
  log_dropped: 0,
}

function cellsOf(of: StatusReport): (readonly string[])[][] {
  return statusTables(of).map(({ rows }) => rows.map(({ cells }) => cells))
}

test('a person reads the same numbers in tables', () => {
  assert.deepEqual(statusHeadlines(report), [
    'mailmux 1.2.3 serving for 1h 2m, pid 7, 1 worker',
    'map generation 42, built 2h 2m ago',
    'config /etc/mailmux/mailmux.yaml',
  ])
  const [services, refused, backends, ...others] = cellsOf(report)
  assert.deepEqual(services, [
    ['smtp', '2', '0', '5', '0', '0', '[::1]:25'],
    ['imap', '5', '1', '9', '0', '2', '127.0.0.1:143'],
    ['', '', '', '', '', '', '127.0.0.1:1143'],
  ])
  assert.deepEqual(refused, [
    ['smtp', '0', 'bare_lf 8, relay_denied 1'],
    ['imap', '0', 'line_too_long 4'],
  ])
  assert.deepEqual(backends, [
    ['fritz', 'smtp', '0', '0', '0', '0', 'unknown'],
    ['', 'lmtp', '3', '0', '7', '5', 'unknown, not tried'],
    ['', 'imap', '4', '1', '9', '0', 'up'],
    ['ingrid', 'imap', '0', '0', '0', '8', 'down 1m 0s'],
  ])
  assert.deepEqual(statusTables(report)[2]?.rows[3]?.notes, [
    '5s ago, when connecting: no connection (ECONNREFUSED)',
  ])
  assert.deepEqual(others, [])
})

test('what the spool holds is a line, where it holds something', () => {
  const spool = {
    messages: 3,
    bytes: 14_000,
    live: 1,
    deferred: 2,
    quarantined: 0,
    oldest_ms: 310_000,
  }
  const lineOf = (of: Partial<typeof spool>): string | undefined =>
    statusHeadlines({ ...report, spool: { ...spool, ...of } })[3]
  assert.equal(lineOf({}), 'spool 3 messages, 14 KiB, 1 tried now, the oldest for 5m 10s')
  assert.equal(lineOf({ messages: 0, bytes: 0, live: 0 }), undefined)
  const aside = { messages: 0, bytes: 0, live: 0, quarantined: 2 }
  assert.equal(lineOf(aside), 'spool 0 messages, 0 KiB, 2 kept aside')
})

test('the queue is told beside the workers', () => {
  const [worker] = report.workers
  assert.ok(worker)
  const queue = { ...worker, worker: 4, role: 'queue', restarts: 2 } as const
  const both = { ...report, workers: [worker, queue] }
  assert.match(statusHeadlines(both)[0] ?? '', /, 1 worker and the queue$/)
  assert.deepEqual(cellsOf(both).at(-1)?.[1], ['4 (queue)', '8', '3', '2', '5s', 'serving'])
})

test('workers are a table where one was replaced, and lost lines of the log are told', () => {
  const [worker] = report.workers
  assert.ok(worker)
  const troubled = { ...report, workers: [{ ...worker, restarts: 1 }], log_dropped: 9 }
  assert.deepEqual(cellsOf(troubled).at(-1), [['3', '8', '3', '1', '5s', 'serving']])
  assert.equal(statusHeadlines(troubled).at(-1), '9 lines of the log were lost')
})

/** The notes of a report in which every port answers again. */
function notesAt(uptime_ms: number): readonly string[] {
  const mended = numbersOf({
    ...figures,
    health: {
      of: (backend, protocol) => ({
        ...(ports[`${backend} ${protocol}`] ?? { since: started, lastError: undefined }),
        state: 'up',
      }),
    },
  })
  const tables = statusTables({ ...report, ...mended, uptime_ms })
  return tables.flatMap(({ rows }) => rows.flatMap(({ notes }) => notes))
}

test('an error is shown for an hour after its back-end came back', () => {
  assert.equal(notesAt(3_725_000).length, 1)
  assert.deepEqual(notesAt(3_725_000 + 3_600_000), [])
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

test('lists are wrapped between their words', () => {
  assert.deepEqual(wrapWords(['aa', 'bb', 'cc'], ', ', 6), ['aa, bb', 'cc'])
  assert.deepEqual(wrapWords(['too long', 'b'], ', ', 6), ['too long', 'b'])
  assert.deepEqual(wrapWords([], ', ', 6), [])
})
