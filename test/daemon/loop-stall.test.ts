/** A process that stands still for longer than a client may take. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CounterTable } from '../../src/daemon/counters.ts'
import { watchLoop } from '../../src/daemon/loop-watch.ts'
import { FrontEnd } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { loginWords } from '../support/login-words.ts'
import { ScriptedBackend } from '../support/peer.ts'
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
