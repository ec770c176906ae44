/** A process that stands still for longer than a client may take. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CounterTable } from '../../src/daemon/counters.ts'
import { startImapSession } from '../../src/daemon/front-end/imap.ts'
import { watchLoop } from '../../src/daemon/loop-watch.ts'
import type { StartSession } from '../../src/daemon/runtime.ts'
import { FrontEnd } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { loginWords } from '../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tlsParties } from '../support/tls-parties.ts'

const { certificate } = tlsParties()

/** Nothing else runs meanwhile. */
function standStill(forMs: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, forMs)
}

// One that parses literals, and one that joins by a machine: the others are driven as these are.
for (const service of ['imap', 'submission'] as const) {
  test(`${service}: a stall ends no session whose client has spoken in time`, async () => {
    const words = loginWords[service]
    await using backend = await ScriptedBackend.start(async (peer) => {
      peer.send(words.backendGreeting)
      await serveLogin(peer, { service, certificate })
      await peer.end()
    })
    await using front = await FrontEnd.start({
      service,
      backendPort: backend.port,
      limits: { preauth_timeout: '1s', login_timeout: '1s' },
    })
    using client = await front.connect()
    await client.expect(words.greeting)
    client.send(words.logIn('ann', 'secret'))
    standStill(1_500)
    // And once more, while its back-end has its turn.
    await backend.peerNumber(0)
    standStill(1_500)
    await client.expect(words.accepted)
    assert.deepEqual(front.runtime.eventsOf('refuse'), [])
    assert.deepEqual(front.runtime.eventsOf('backend'), [])
  })
}

test('of 5,000 sessions a stall ends none: whose client has spoken is heard, and the others have their turn', async () => {
  const [sessions, patienceMs] = [5_000, 5_000]
  // All begin at once: none is to be old before the last one has come.
  const held: (() => void)[] = []
  const start: StartSession = (...session) => void held.push(() => startImapSession(...session))
  const limits = { preauth_timeout: `${patienceMs}ms` }
  await using front = await FrontEnd.start({ service: 'imap', start, limits })
  const clients: Peer[] = []
  for (let count = 0; count < sessions; count++) clients.push(await front.connect())
  while (held.length < sessions) await new Promise((resolve) => setImmediate(resolve))
  const startedAt = performance.now()
  for (const begin of held) begin()
  for (const client of clients) await client.expect(loginWords.imap.greeting)
  const [talking, silent] = [clients.slice(0, sessions / 2), clients.slice(sessions / 2)]
  for (const client of talking) client.send('a LOGOUT\r\n')
  // By the clock the time of all is over when their words are read.
  standStill(startedAt + patienceMs + 200 - performance.now())
  for (const client of talking) assert.match(await client.end(), /^\* BYE .*\r\na OK .*\r\n$/)
  await front.runtime.waitFor('session.end', talking.length)
  assert.deepEqual(front.runtime.eventsOf('refuse'), [])
  assert.ok(silent.every(({ closed }) => !closed))
  for (const client of silent) client[Symbol.dispose]()
  await front.runtime.idle()
})

test('a stall is counted, with its length', async () => {
  const counters = new CounterTable()
  watchLoop(counters)
  standStill(700)
  const signal = AbortSignal.timeout(5_000)
  while (Object.keys(counters.snapshot()).length === 0) {
    signal.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const { loop_stall: stalls = 0, loop_stall_ms: ms = 0 } = counters.snapshot()
  assert.ok(stalls >= 1 && ms >= 400, `${stalls}, ${ms} ms`)
})
