import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Log } from '../../src/base/log.ts'
import { BackendHealth } from '../../src/daemon/backend-health.ts'
import { parseTestConfig } from '../support/test-runtime.ts'

const text = (backends: string): string =>
  `hostname: mx.example.com\ndomains: [example.com]\nbackends: {${backends}}\n`
const config = parseTestConfig(
  text(
    'fritz: {host: 127.0.0.1, imap: 143, lmtp: 24, smtp: 25}, ingrid: {host: 127.0.0.1, imap: 143}',
  ),
)
const quietMs = 60_000

function watched(): { health: BackendHealth; changes: string[] } {
  const changes: string[] = []
  const log: Log = (name, fields) => {
    const { backend, protocol, state } = fields as unknown as Record<string, string>
    changes.push(`${name} ${backend} ${protocol} ${state}`)
  }
  return { health: new BackendHealth(config, log, 0), changes }
}

function probe(health: BackendHealth, now: number, ok: boolean, backend = 'fritz'): void {
  const at = { address: '127.0.0.1:143', tls: 'none', ms: 1 } as const
  const problem = ok ? {} : { problem: 'connect: refused' }
  health.probed({ backend, protocol: 'imap', ok, ...at, ...problem }, now)
}

const failed = {
  backend: 'fritz',
  service: 'imap',
  step: 'connect',
  reason: 'refused',
  detail: 'no',
} as const

test('a port that nobody used is asked after a while, once', () => {
  const { health } = watched()
  assert.deepEqual(health.due(quietMs, 59_000), [])
  const due = health.due(quietMs, 60_000).map(({ backend, protocol }) => `${backend} ${protocol}`)
  assert.deepEqual(due, ['fritz smtp', 'fritz lmtp', 'fritz imap', 'ingrid imap'])
  for (const port of health.due(quietMs, 60_000)) health.asked(port)
  assert.deepEqual(health.due(quietMs, 90_000), [])
})

test('logins and messages that a back-end answers show that it is up, so it is not asked', () => {
  const { health, changes } = watched()
  const counts = { 'backend_login:fritz,imap,failed': 1, 'backend_message:fritz,accepted': 2 }
  health.note(counts, [], 50_000)
  assert.equal(health.of('fritz', 'imap').state, 'up')
  assert.equal(health.of('fritz', 'lmtp').state, 'up')
  assert.equal(health.of('fritz', 'smtp').state, 'unknown')
  const due = health.due(quietMs, 100_000).map(({ backend, protocol }) => `${backend} ${protocol}`)
  assert.deepEqual(due, ['fritz smtp', 'ingrid imap'])
  // That a port is up from the start is no news.
  assert.deepEqual(changes, [])
})

test('a message that was spooled shows nothing, until its back-end takes it from the spool', () => {
  const { health } = watched()
  const spooled = { 'backend_message:fritz,spooled': 5 }
  health.note({ ...spooled, 'delivery:fritz,deferred': 5 }, [], 50_000)
  assert.equal(health.of('fritz', 'lmtp').state, 'unknown')
  health.note({ ...spooled, 'delivery:fritz,delivered': 1 }, [], 51_000)
  assert.equal(health.of('fritz', 'lmtp').state, 'up')
})

test('logins that could not be tried show nothing', () => {
  const { health } = watched()
  health.note({ 'backend_login:fritz,imap,unavailable': 5 }, [], 50_000)
  assert.equal(health.of('fritz', 'imap').state, 'unknown')
})

test('a session that could not get through has the port asked soon, and the probe decides', () => {
  const { health, changes } = watched()
  probe(health, 1_000, true)
  health.note({}, [{ ...failed, at: 10_000 }], 10_000)
  assert.equal(health.of('fritz', 'imap').state, 'up')
  const [port] = health.due(quietMs, 10_000)
  assert.deepEqual([port?.backend, port?.protocol], ['fritz', 'imap'])
  probe(health, 11_000, false)
  const { state, since, lastError } = health.of('fritz', 'imap')
  assert.deepEqual([state, since, lastError?.text], ['down', 11_000, 'connect: refused'])
  // It is asked again and again, until it answers.
  assert.equal(health.due(quietMs, 16_000).length, 1)
  const up: string[] = []
  health.onUp = ({ backend, protocol: name }) => up.push(`${backend} ${name}`)
  probe(health, 16_000, true)
  probe(health, 16_500, true)
  assert.deepEqual(up, ['fritz imap'])
  assert.deepEqual(changes, ['backend.state fritz imap down', 'backend.state fritz imap up'])
  assert.deepEqual(health.due(quietMs, 17_000), [])
})

test('mail that came by LMTP has the port of its back-end asked, whichever that is', () => {
  const smtpOnly = parseTestConfig(text('fritz: {host: 127.0.0.1, smtp: 25}'))
  const health = new BackendHealth(smtpOnly, () => undefined, 0)
  health.note({}, [{ ...failed, service: 'lmtp', at: 10_000 }], 10_000)
  const due = health.due(quietMs, 10_000).map(({ backend, protocol }) => `${backend} ${protocol}`)
  assert.deepEqual(due, ['fritz smtp'])
})

test('what goes wrong behind the login is told, and does not put the port in doubt', () => {
  const { health } = watched()
  probe(health, 1_000, true)
  health.note({}, [{ ...failed, step: 'login', reason: 'timeout', at: 10_000 }], 10_000)
  assert.deepEqual(health.due(quietMs, 20_000), [])
  assert.deepEqual(health.of('fritz', 'imap').lastError?.reason, 'timeout')
})

test('back-ends count as usable by the ports of the services that are served', () => {
  const { health } = watched()
  const [up, any] = [new Set(['up'] as const), new Set(['up', 'unknown'] as const)]
  assert.equal(health.usable(['imap'], up), 0)
  assert.equal(health.usable(['imap'], any), 2)
  probe(health, 1_000, true)
  probe(health, 1_000, false, 'ingrid')
  assert.equal(health.usable(['imap'], up), 1)
  assert.equal(health.usable(['imap'], any), 1)
  assert.equal(health.usable(['smtp'], up), 0)
})

test('a reload keeps what is known of the ports that stay as they are', () => {
  const { health } = watched()
  probe(health, 1_000, false)
  health.use(
    parseTestConfig(text('fritz: {host: 127.0.0.1, imap: 143}, new: {host: ::1, pop3: 110}')),
  )
  assert.equal(health.of('fritz', 'imap').state, 'down')
  assert.deepEqual(
    health.unknown.map(({ backend, protocol }) => `${backend} ${protocol}`),
    ['new pop3'],
  )
  health.use(parseTestConfig(text('fritz: {host: 127.0.0.1, imap: 1143}')))
  assert.equal(health.of('fritz', 'imap').state, 'unknown')
})
