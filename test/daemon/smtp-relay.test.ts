import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sink, TestRelay } from '../support/relay.ts'

const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'

test('a message goes to the back-end of its recipient, with one trace line and nothing else changed', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/^250 2\.1\.0 ok\r\n250 2\.1\.0 ok\r\n354 .*\r\n/)
  const message = 'Subject: hello\r\n.\u00ff\r\n\r\n..dot\r\n\tx\r\n'
  client.send(`${message.replace('\r\n.\u00ff', '\r\nX')}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  const [stored] = sink.stored
  assert.equal(stored?.sender, 'MAIL FROM:<bob@example.net>')
  assert.deepEqual(stored.recipients, ['RCPT TO:<ann@example.com>'])
  const [, trace = '', rest] = /^(Received: .*\r\n(?:\t.*\r\n)*)([\s\S]*)$/.exec(stored.data) ?? []
  assert.match(
    trace,
    /^Received: from client\.example\.net \(\[127\.0\.0\.1\]\)\r\n\tby mx\.example\.com \(mailmux\) with ESMTP id 1-1\r\n\tfor <ann@example\.com>;\r\n/,
  )
  assert.equal(rest, message.replace('\r\n.\u00ff', '\r\nX'))
  client.send('QUIT\r\n')
  await client.expect(/^221 /)
  await client.end()
  const end = await relay.runtime.waitFor('session.end')
  assert.deepEqual([end.end, end.messages, end.backend], ['logout', 1, 'fritz'])
  const event = await relay.runtime.waitFor('message')
  assert.deepEqual(
    [event.backend, event.recipients, event.code, event.bytes],
    ['fritz', 1, 250, rest.length],
  )
})

test('a connection to a back-end serves one message after another, RSET between them', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  for (let round = 0; round < 3; round++) {
    using client = await relay.client()
    for (let count = 0; count < 2; count++) {
      client.send(envelope)
      await client.expect(/354 .*\r\n/)
      client.send('x\r\n.\r\n')
      await client.expect(/^250 2\.0\.0 stored\r\n/)
    }
  }
  assert.equal(fritz.peers.length, 1)
  assert.equal(sink.stored.length, 6)
  assert.equal(sink.commands.filter((command) => command === 'RSET').length, 5)
})
