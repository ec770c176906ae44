/** Sessions that a back-end ends all at once, and their clients. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BackendHerd } from '../../src/daemon/backend-herds.ts'
import { deadlines } from '../../src/net/deadline.ts'
import { FrontEnd } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { loginWords } from '../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tlsParties } from '../support/tls-parties.ts'

const { certificate } = tlsParties()

test('a few are told at once, the others one after the other, and all within half a minute', () => {
  const herd = new BackendHerd()
  const waits = Array.from({ length: 5000 }, (_, number) => herd.ended(60_000, number / 100))
  assert.deepEqual(waits.slice(0, 22), [...Array.from({ length: 20 }, () => 0), 10, 20])
  assert.equal(waits[1020], 10_010)
  assert.ok(Math.max(...waits) <= 30_000)
  // No second has much more than its share of them.
  const bySecond = Map.groupBy(waits, (waitMs) => Math.floor(waitMs / 1000))
  const most = Math.max(...[...bySecond.values()].map(({ length }) => length))
  assert.ok(most < 300, `${most}`)
})

test('who was doing something is told at once, and ends that are apart are no herd', () => {
  const herd = new BackendHerd()
  for (let number = 0; number < 1000; number++) assert.equal(herd.ended(0, number), 0)
  for (let number = 0; number < 1000; number++) assert.equal(herd.ended(60_000, number * 2001), 0)
})

test('when a back-end dies, clients that were silent hear of it one by one', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(loginWords.imap.backendGreeting)
    await serveLogin(peer, { service: 'imap', certificate })
  })
  await using front = await FrontEnd.start({
    service: 'imap',
    backendPort: backend.port,
  })
  const clients: Peer[] = []
  for (let count = 0; count < 60; count++) {
    const client = await front.connect()
    client.send('b LOGIN ann secret\r\n')
    await client.expect(/^b OK .*\r\n/m)
    clients.push(client)
  }
  const joinedAt = deadlines.tick
  while (deadlines.since(joinedAt) < 1_100) await new Promise((resolve) => setTimeout(resolve, 50))
  const startedAt = performance.now()
  for (const { socket } of backend.peers) socket.destroy()
  const told = clients.map(async (client) => {
    await client.end()
    return performance.now() - startedAt
  })
  const ms = (await Promise.all(told)).sort((one, other) => one - other)
  const last = ms.at(-1) ?? 0
  assert.ok((ms[10] ?? 0) < last - 200, `${ms[10]}, ${last}`)
  const { end } = await front.runtime.waitFor('session.end', 60)
  assert.match(end, /^backend_/)
})
