/** Who a client is: told to us by a host that is trusted, and by us to back-ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ProxyHeaderReader } from '../../../src/protocol/proxy-header.ts'
import { ask, deliver } from '../../support/message.ts'
import { misbehave } from '../../support/misbehaving.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { Sink, type SinkOptions, TestRelay } from '../../support/relay.ts'

const ann = ['MAIL FROM:<bob@example.net>', 'RCPT TO:<ann@example.com>']
const trusted = 'trusted_proxies: [127.0.0.0/8]\n'

async function relayTo(
  passing: 'xclient' | 'xforward',
  options: SinkOptions,
  config = '',
): Promise<AsyncDisposable & { sink: Sink; fritz: ScriptedBackend; relay: TestRelay }> {
  await using stack = new AsyncDisposableStack()
  const { sink, backend } = await Sink.start(options)
  const fritz = stack.use(backend)
  const settings = `smtp: ${fritz.port}, client_address: ${passing}`
  const backends = { fritz: settings, ingrid: 9 }
  const relay = stack.use(await TestRelay.start({ backends, config }))
  const whole = stack.move()
  return { sink, fritz, relay, [Symbol.asyncDispose]: () => whole.disposeAsync() }
}

/** A back-end that takes XCLIENT, and says hello again after it. */
const takesXclient: SinkOptions = {
  capabilities: ['PIPELINING', '8BITMIME', 'XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT'],
  answer: (command) => (command.startsWith('XCLIENT') ? '220 fritz.internal\r\n' : undefined),
}

test('what a trusted host tells by XCLIENT is in the message, in the log, and with the back-end', async () => {
  await using site = await relayTo('xclient', takesXclient, trusted)
  using client = await site.relay.client()
  const told =
    'XCLIENT NAME=mail.example.net ADDR=IPV6:2001:db8::7 PORT=40123 HELO=helo.example.net'
  const [greeting] = await ask(client, told, 'EHLO proxy.example.com')
  assert.equal(greeting, '220 mx.example.com ESMTP mailmux')
  assert.match(await deliver(client, ...ann), /^250 2\.0\.0 stored/)
  const [stored] = site.sink.stored
  assert.match(
    stored?.data ?? '',
    /^Received: from helo\.example\.net \(mail\.example\.net \[IPv6:2001:db8::7\]\)\r\n/,
  )
  const xclient =
    'XCLIENT NAME=mail.example.net ADDR=IPV6:2001:db8::7 PORT=40123 PROTO=ESMTP ' +
    `HELO=helo.example.net DESTADDR=127.0.0.1 DESTPORT=${site.relay.port}`
  assert.deepEqual(site.sink.commands.slice(0, 4), [
    'EHLO mx.example.com',
    xclient,
    'EHLO helo.example.net',
    ann[0],
  ])
  assert.equal((await site.relay.runtime.waitFor('message')).peer, '[2001:db8::7]:40123')
  // What one client may bring in a time is counted for the one that was told.
  assert.deepEqual(site.relay.runtime.senders, ['2001:db8::7'])
})

test('from others XCLIENT changes nothing', async () => {
  await using site = await relayTo('xclient', takesXclient, 'trusted_proxies: [10.0.0.0/8]\n')
  using client = await site.relay.client()
  const [refused] = await ask(client, 'XCLIENT ADDR=192.0.2.7 NAME=evil.example')
  assert.match(refused ?? '', /^550 5\.7\.0 /)
  assert.equal((await site.relay.runtime.waitFor('refuse')).reason, 'xclient_denied')
  await deliver(client, ...ann)
  assert.match(site.sink.stored[0]?.data ?? '', /^Received: from client\.example\.net \(\[127/)
  assert.match(site.sink.commands[1] ?? '', /^XCLIENT NAME=\[UNAVAILABLE\] ADDR=127\.0\.0\.1 PORT=/)
})

test('a connection for one client is not used for another', async () => {
  await using site = await relayTo('xclient', takesXclient, trusted)
  for (const address of ['192.0.2.1', '192.0.2.2']) {
    using client = await site.relay.client()
    await ask(client, `XCLIENT ADDR=${address} PORT=1 DESTPORT=2 HELO=h`, 'EHLO p')
    await deliver(client, ...ann)
    await deliver(client, ...ann)
    await ask(client, 'QUIT')
  }
  assert.equal(site.fritz.peers.length, 2)
  assert.equal(site.sink.stored.length, 4)
})

test('a back-end that refuses XCLIENT gets no mail as if it came from us', async () => {
  const refuses: SinkOptions = {
    ...takesXclient,
    answer: (command) => (command.startsWith('XCLIENT') ? '550 5.7.0 no\r\n' : undefined),
  }
  await using site = await relayTo('xclient', refuses)
  using client = await site.relay.client()
  const [, answer] = await ask(client, ...ann)
  assert.match(answer ?? '', /^451 4\.4\.1 /)
  const { step, reason } = await site.relay.runtime.waitFor('backend')
  assert.deepEqual([step, reason], ['hello', 'bad_reply'])
})

for (const [fault, said] of [
  ['close', 'closed'],
  ['reset', 'closed'],
  ['silence', 'timeout'],
  ['garbage', 'bad_reply'],
  ['long line', 'bad_reply'],
  ['shutdown', 'bad_reply'],
  ['surplus', 'desync'],
] as const) {
  test(`${fault} in place of the answer to XCLIENT: no mail goes there, and the session goes on`, async () => {
    await using fritz = await ScriptedBackend.start(async (peer) => {
      peer.send('220 fritz ESMTP\r\n')
      await peer.expect(/^EHLO .*\r\n/)
      peer.send('250-fritz\r\n250 XCLIENT NAME ADDR\r\n')
      await peer.expect(/^XCLIENT .*\r\n/)
      misbehave(peer, fault)
      await peer.end()
    })
    await using relay = await TestRelay.start({
      backends: { fritz: `smtp: ${fritz.port}, client_address: xclient`, ingrid: 9 },
      config: 'limits: {login_timeout: 300ms}\n',
    })
    using client = await relay.client()
    const [, answer, ok] = await ask(client, ...ann, 'NOOP')
    assert.match(answer ?? '', /^451 4\.4\.1 /)
    assert.match(ok ?? '', /^250 /)
    const { step, reason } = await relay.runtime.waitFor('backend')
    assert.deepEqual([step, reason], ['hello', said])
    assert.doesNotMatch(fritz.received, /MAIL|RCPT/)
  })
}

test('a back-end that does not offer XCLIENT is not sent it', async () => {
  await using site = await relayTo('xclient', {})
  using client = await site.relay.client()
  await deliver(client, ...ann)
  assert.ok(!site.sink.commands.join().includes('XCLIENT'))
})

test('XFORWARD is told for each message, on a connection that all clients share', async () => {
  const takes: SinkOptions = { capabilities: ['PIPELINING', 'XFORWARD ADDR HELO IDENT SOURCE'] }
  await using site = await relayTo('xforward', takes, trusted)
  for (let round = 0; round < 2; round++) {
    using client = await site.relay.client()
    await deliver(client, ...ann)
    await ask(client, 'XFORWARD ADDR=192.0.2.9 HELO=origin.example', 'NOOP')
    await deliver(client, ...ann)
  }
  assert.deepEqual(
    site.sink.commands.filter((command) => command.startsWith('XFORWARD')),
    ['1-1', '1-2'].flatMap((id) => [
      `XFORWARD ADDR=127.0.0.1 HELO=client.example.net IDENT=${id} SOURCE=REMOTE`,
      `XFORWARD ADDR=192.0.2.9 HELO=origin.example IDENT=${id} SOURCE=REMOTE`,
    ]),
  )
  assert.equal(site.fritz.peers.length, 1)
  const messages = site.relay.runtime.eventsOf('message')
  assert.deepEqual(
    messages.map(({ client }) => client),
    [undefined, '192.0.2.9', undefined, '192.0.2.9'],
  )
  assert.match(site.sink.stored[1]?.data ?? '', /\(\[127\.0\.0\.1\]\)/, 'XFORWARD is for the log')
})

/** Reads the header, then serves as a sink does. */
async function serveBehindHeader(sink: Sink, peer: Peer, seen: string[]): Promise<void> {
  const [line] = await peer.expect(/^PROXY .*\r\n/)
  seen.push(line)
  await sink.serve(peer)
}

test('a PROXY header comes before everything, on a connection of the client alone', async () => {
  const seen: string[] = []
  const sink = new Sink()
  await using fritz = await ScriptedBackend.start((peer) => serveBehindHeader(sink, peer, seen))
  await using relay = await TestRelay.start({
    backends: { fritz: `smtp: ${fritz.port}, client_address: proxy-v1`, ingrid: 9 },
  })
  const ports: number[] = []
  for (let round = 0; round < 2; round++) {
    using client = await relay.client()
    ports.push(client.socket.localPort ?? 0)
    await deliver(client, ...ann)
    await deliver(client, ...ann)
  }
  const lines = ports.map((port) => `PROXY TCP4 127.0.0.1 127.0.0.1 ${port} ${relay.port}\r\n`)
  assert.deepEqual(seen, lines)
  assert.equal(sink.stored.length, 4)
})

test('a PROXY header of version 2 says the same', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    await peer.expect(/^[^]{28}/)
    await new Sink().serve(peer)
  })
  await using relay = await TestRelay.start({
    backends: { fritz: `smtp: ${fritz.port}, client_address: proxy-v2`, ingrid: 9 },
  })
  using client = await relay.client()
  await deliver(client, ...ann)
  const read = new ProxyHeaderReader().push(Buffer.from(fritz.received, 'latin1'))
  assert.ok(read?.kind === 'header' && read.header.kind === 'proxied')
  assert.deepEqual(read.header.source, { address: '127.0.0.1', port: client.socket.localPort })
  assert.deepEqual(read.header.destination, { address: '127.0.0.1', port: relay.port })
})
