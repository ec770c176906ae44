/** How long logins are kept waiting by default, to the second. Time is moved by hand. */
import assert from 'node:assert/strict'
import { after, mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { LoginService } from '../../../src/config/config.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { parseTestConfig, routeTo } from '../../support/test-runtime.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate } = tlsParties()

// For all tests at once: deadlines of one may keep the interval.
mock.timers.enable({ apis: ['setInterval', 'setTimeout'] })
let now = 1_000
mock.method(performance, 'now', () => now)
// The runner itself waits, too.
after(() => {
  mock.timers.reset()
  mock.restoreAll()
})

/** Lets all happen that is due, sockets included. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await setImmediate()
}

/** Time stands still until this is called. */
async function pass(ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 100) {
    const step = Math.min(100, ms - passed)
    now += step
    mock.timers.tick(step)
    if (passed % 1000 === 0) await setImmediate()
  }
  await settle()
}

/** With the waits that hold where nothing is said of them, and nobody exempt. */
function startFront(options: Partial<FrontEndOptions>): Promise<FrontEnd> {
  const limits = { auth_failure_delay: '2s', exempt: '[]', ...options.limits }
  return FrontEnd.start({ service: 'imap', ...options, limits })
}

async function greeted(front: FrontEnd, service: LoginService, from?: string): Promise<Peer> {
  const client = await Peer.connect(front.port, '127.0.0.1', from)
  await client.expect(loginWords[service].greeting)
  return client
}

function reasonsOf(front: FrontEnd): string[] {
  return front.runtime.eventsOf('refuse').map(({ reason }) => reason)
}

/** Takes every login, once it is let go. */
function startBackend(service: LoginService, goes: Promise<unknown>): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    await goes
    peer.send(loginWords[service].backendGreeting)
    await serveLogin(peer, { service, certificate }).catch(() => false)
  })
}

const bobElsewhere = { 'bob@example.com': routeTo('ingrid', 'bob@example.com') }

test('what holds where nothing is said', () => {
  const { limits } = parseTestConfig(
    'hostname: mx.example.com\ndomains: [example.com]\nbackends: {fritz: {host: ::1, imap: 143}}\n',
  )
  const { authFailureDelayMs, loginTimeoutMs, preauthTimeoutMs, sessionTimeoutMs } = limits
  assert.deepEqual(
    { authFailureDelayMs, loginTimeoutMs, preauthTimeoutMs, sessionTimeoutMs },
    {
      authFailureDelayMs: 2_000,
      loginTimeoutMs: 30_000,
      preauthTimeoutMs: 60_000,
      sessionTimeoutMs: 31 * 60_000,
    },
  )
})

for (const service of loginServices) {
  const words = loginWords[service]

  test(`${service}: failures are answered after 2, 4 and 8 seconds, and in the next session after 15`, async () => {
    await using front = await startFront({ service })
    let failures = 0
    for (const [number, seconds] of [
      [2, 4, 8],
      [15, 15, 15],
    ].entries()) {
      using client = await greeted(front, service)
      for (const delay of seconds) {
        client.send(words.logIn(`nobody${failures++}`, 'wrong'))
        await settle()
        await pass(delay * 1000 - 1)
        assert.doesNotMatch(client.unread, words.refused, `${delay} s`)
        await pass(1)
        await client.expect(words.refused)
      }
      // Three of a connection, then its end.
      await client.end()
      assert.deepEqual(reasonsOf(front), Array(number + 1).fill('auth_failures'))
    }
  })

  test(`${service}: a back-end may take nearly thirty seconds, and no longer`, async () => {
    for (const [seconds, answer] of [
      [0, words.accepted],
      [10, words.accepted],
      [29, words.accepted],
      [31, words.unavailable],
      [120, words.unavailable],
    ] as const) {
      const { promise: goes, resolve: letGo } = Promise.withResolvers<void>()
      await using backend = await startBackend(service, goes)
      await using other = await startBackend(service, Promise.resolve())
      const routes = bobElsewhere
      const ports = { backendPort: backend.port, secondPort: other.port }
      // Long enough to see what comes after the answer.
      const limits = { preauth_timeout: '10m' }
      await using front = await startFront({ service, routes, limits, ...ports })
      using client = await greeted(front, service)
      client.send(words.logIn('ann', 'secret'))
      await backend.peerNumber(0)
      await settle()
      const early = client.unread
      await pass(Math.min(seconds, 29.5) * 1000)
      assert.equal(client.unread, early, `${seconds} s: nothing is said too early`)
      // Users of other back-ends are not held up.
      using bob = await greeted(front, service)
      bob.send(words.logIn('bob', 'secret'))
      await bob.expect(words.accepted)
      if (seconds > 30) {
        await pass(1_000)
        await client.expect(words.unavailable)
        const { step, reason } = await front.runtime.waitFor('backend')
        assert.deepEqual([step, reason], ['greeting', 'timeout'])
        await pass((seconds - 30) * 1000)
        letGo()
        await backend.peers[0]?.end()
        assert.equal(client.unread, '')
      } else {
        letGo()
        await client.expect(answer)
      }
    }
  })
}

test('of 500 logins of an address ten are tried, and the others told after half a minute', async () => {
  const { promise: goes } = Promise.withResolvers<void>()
  await using backend = await startBackend('imap', goes)
  await using other = await startBackend('imap', Promise.resolve())
  const ports = { backendPort: backend.port, secondPort: other.port }
  const limits = { login_timeout: '5m' }
  await using front = await startFront({ routes: bobElsewhere, limits, ...ports })
  const words = loginWords.imap
  const herd: Peer[] = []
  for (let count = 0; count < 500; count++) {
    const client = await greeted(front, 'imap')
    herd.push(client.send(words.logIn('ann', 'secret')))
  }
  await backend.peerNumber(9)
  await pass(29_500)
  const told = (): number => herd.filter(({ unread }) => unread !== '').length
  assert.deepEqual([told(), backend.peers.length], [0, 10])
  // Another address has places of its own.
  using bob = await greeted(front, 'imap', '127.0.0.2')
  bob.send(words.logIn('bob', 'secret'))
  await bob.expect(words.accepted)
  // Who comes again at once is no quicker than one that has failed.
  await pass(1_000)
  assert.equal(told(), 0)
  await pass(4_000)
  for (const client of herd) assert.match(client.unread, /^(?:b NO \[UNAVAILABLE\] .*\r\n)?$/)
  assert.deepEqual([told(), backend.peers.length], [490, 10])
  assert.deepEqual(reasonsOf(front), Array(490).fill('auth_parallel'))
})
