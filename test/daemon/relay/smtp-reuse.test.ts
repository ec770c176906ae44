/** A connection to a back-end that serves one message after another. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { TestRelay } from '../../support/relay.ts'

const message = 'Subject: x\r\n\r\nhello\r\n.\r\n'

async function serveOneMessage(peer: Peer): Promise<void> {
  peer.send('220 fritz ESMTP\r\n')
  for (const [expected, answer] of [
    [/^EHLO .*\r\n/, '250-fritz\r\n250 PIPELINING\r\n'],
    [/^MAIL .*\r\nRCPT .*\r\n/, '250 ok\r\n250 ok\r\n'],
    [/^DATA\r\n/, '354 go\r\n'],
    [/\r\n\.\r\n/, '250 2.0.0 stored\r\n'],
  ] as const) {
    await peer.expect(expected)
    peer.send(answer)
  }
}

async function deliver(client: Peer): Promise<void> {
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n/)
  client.send('DATA\r\n')
  await client.expect(/^354 .*\r\n/)
  client.send(message)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
}

for (const farewell of ['421 4.4.2 idle too long\r\n', '250 ok\r\n421 4.4.2 idle too long\r\n']) {
  test(`${JSON.stringify(farewell)} on a connection that waited costs the client nothing`, async () => {
    let count = 0
    await using fritz = await ScriptedBackend.start(async (peer) => {
      count++
      const isFirst = count === 1
      await serveOneMessage(peer)
      if (!isFirst) return
      await peer.expect(/^RSET\r\n/)
      peer.send(farewell)
      peer.socket.end()
    })
    await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
    using client = await relay.client()
    await deliver(client)
    await deliver(client)
    assert.equal(fritz.peers.length, 2)
    assert.equal(relay.runtime.eventsOf('backend').length, 0)
  })
}
