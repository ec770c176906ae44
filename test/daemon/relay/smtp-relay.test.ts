import assert from 'node:assert/strict'
import { test } from 'node:test'
import { namesFor } from '../../../src/daemon/login/client-knowledge.ts'
import { startDns } from '../../support/dns-server.ts'
import { ask, deliver } from '../../support/message.ts'
import { Sink, TestRelay } from '../../support/relay.ts'

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

const ann = ['MAIL FROM:<bob@example.net>', 'RCPT TO:<ann@example.com>']

/** A relay that asks `dns` for the names of clients, which may say who they are. */
function startNaming(fritz: { port: number }, dns: { port: number }): Promise<TestRelay> {
  return TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    config: `client_names: dns\ndns_servers: ["127.0.0.1:${dns.port}"]\ntrusted_proxies: [127.0.0.1]\n`,
  })
}

test('the name of a client is in the header line where DNS tells it in time', async () => {
  await using dns = await startDns({
    '7.2.0.192.in-addr.arpa': { type: 'PTR', values: ['mail.example.net'] },
    'mail.example.net': { type: 'A', values: ['192.0.2.7'] },
    '8.2.0.192.in-addr.arpa': { type: 'PTR', values: ['forged.example.org'] },
  })
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await startNaming(fritz, dns)
  using client = await relay.client()
  await ask(client, 'XCLIENT ADDR=192.0.2.7 HELO=c', 'EHLO proxy')
  const names = namesFor(relay.runtime.current.config)
  while (names?.nameOf('192.0.2.7') === undefined) await ask(client, 'NOOP')
  await deliver(client, ...ann)
  assert.match(
    sink.stored[0]?.data ?? '',
    /^Received: from c \(mail\.example\.net \[192\.0\.2\.7\]\)/,
  )
  await ask(client, 'XCLIENT ADDR=192.0.2.8 HELO=c', 'EHLO proxy')
  await deliver(client, ...ann)
  assert.match(sink.stored[1]?.data ?? '', /^Received: from c \(\[192\.0\.2\.8\]\)/)
})

test('a resolver that says nothing holds up no message', async () => {
  await using dns = await startDns({}, true)
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await startNaming(fritz, dns)
  using client = await relay.client()
  await ask(client, 'XCLIENT ADDR=192.0.2.7', 'EHLO proxy')
  assert.match(await deliver(client, ...ann), /^250 /)
  assert.match(sink.stored[0]?.data ?? '', /\(\[192\.0\.2\.7\]\)/)
})

test('of several recipients none is named in the header line', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  await deliver(client, ...ann, 'RCPT TO:<amy@example.com>')
  await deliver(client, ...ann, 'RCPT TO:<nobody@example.com>')
  assert.doesNotMatch(sink.stored[0]?.data ?? '', /\bfor </)
  assert.match(sink.stored[1]?.data ?? '', /\r\n\tfor <ann@example\.com>;\r\n/)
})
