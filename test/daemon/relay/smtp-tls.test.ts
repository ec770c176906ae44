import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { connect as tlsConnect, TLSSocket } from 'node:tls'
import { createBackendTls, createServerTls } from '../../../src/net/tls.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { Peer, ScriptedBackend } from '../../support/peer.ts'
import { Sink, TestRelay } from '../../support/relay.ts'

const authority = makeAuthority()
const certificate = authority.issue(['mx.example.com', '127.0.0.1'])
const serverTls = createServerTls([certificate], 'TLSv1.2')
const backendTls = new Map([
  ['fritz', createBackendTls(authority.ca)],
  ['ingrid', createBackendTls(authority.ca)],
])
const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'

async function secure(client: Peer): Promise<Peer> {
  client.socket.removeAllListeners('data')
  const socket = tlsConnect({
    socket: client.socket,
    ca: authority.ca,
    servername: 'mx.example.com',
  })
  await once(socket, 'secureConnect')
  return new Peer(socket)
}

async function start(port: number, backend = 'tls: none', listener = 'tls: starttls') {
  return TestRelay.start({
    backends: { fritz: `smtp: ${port}, ${backend}`, ingrid: 9 },
    listener,
    serverTls,
    backendTls,
  })
}

test('STARTTLS works, forgets what was said before, and messages go through it', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await start(fritz.port)
  using plain = await relay.client()
  plain.send('MAIL FROM:<bob@example.net>\r\n')
  await plain.expect(/^250 .*\r\n/)
  plain.send('STARTTLS\r\n')
  await plain.expect(/^220 /)
  using client = await secure(plain)
  client.send('RCPT TO:<ann@example.com>\r\n')
  await client.expect(/^503 5\.5\.1 send EHLO first/)
  client.send('EHLO client.example.net\r\n')
  assert.doesNotMatch((await client.expect(/^[\s\S]*?^250 .*\r\n/m))[0], /STARTTLS/)
  client.send('STARTTLS\r\n')
  await client.expect(/^503 5\.5\.1 /)
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  // Each write is a TLS record of its own: the end is cut across records.
  for (const part of ['x\r', '\n', '.', '\r', '\n']) client.send(part)
  await client.expect(/^250 2\.0\.0 stored/)
  assert.match(sink.stored[0]?.data ?? '', /with ESMTPS id/)
  client.send('QUIT\r\n')
  await client.end()
  assert.match((await relay.runtime.waitFor('session.end')).tls, /^TLSv1\.[23]$/)
})

test('a listener with implicit TLS greets inside it', async () => {
  await using relay = await start(9, 'tls: none', 'tls: implicit')
  const socket = tlsConnect({ port: relay.port, host: '127.0.0.1', ca: authority.ca })
  using client = new Peer(socket)
  await client.expect(/^220 mx\.example\.com /)
  client.send('EHLO x\r\n')
  assert.doesNotMatch((await client.expect(/^[\s\S]*?^250 .*\r\n/m))[0], /STARTTLS/)
})

test('commands in the segment of STARTTLS end the session, without TLS', async () => {
  await using relay = await start(9)
  using client = await relay.client()
  client.send('STARTTLS\r\nEHLO evil\r\n')
  await client.expect(/^554 5\.5\.1 /)
  assert.doesNotMatch(await client.end(), /250/)
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'starttls_pipelined')
})

test('octets that are no handshake after STARTTLS end the session', async () => {
  await using relay = await start(9)
  for (const waitMs of [1, 10, 100]) {
    using client = await relay.client()
    client.send('STARTTLS\r\n')
    await client.expect(/^220 .*\r\n/)
    const { promise, resolve } = Promise.withResolvers<void>()
    setTimeout(resolve, waitMs)
    await promise
    client.send('EHLO evil\r\nMAIL FROM:<evil@example.net>\r\n')
    assert.doesNotMatch(await client.end(), /250/)
  }
  await relay.runtime.waitFor('session.end', 3)
  assert.deepEqual(
    relay.runtime.eventsOf('refuse').map(({ reason }) => reason),
    ['tls_handshake', 'tls_handshake', 'tls_handshake'],
  )
})

test('what follows the end of TLS in the middle of a message is not heard', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await start(fritz.port)
  using client = await relay.client()
  const { socket: plain } = client
  client.send('STARTTLS\r\n')
  await client.expect(/^220 .*\r\n/)
  await client.startTls({ ca: authority.ca, servername: 'mx.example.com' })
  client.send('EHLO c\r\nMAIL FROM:<b@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^354 .*\r\n/m)
  client.send('Subject: x\r\n\r\nhalf')
  // Sends close_notify and leaves the connection open, as an attacker in between could.
  client.socket.end()
  plain.write('\r\n.\r\nMAIL FROM:<evil@example.net>\r\n')
  await relay.runtime.waitFor('session.end')
  await relay.runtime.idle()
  assert.deepEqual(sink.stored, [])
  assert.ok(!sink.commands.join().includes('evil'))
})

test('STARTTLS with an argument, or where it is not offered, is refused', async () => {
  await using relay = await start(9)
  using client = await relay.client()
  client.send('STARTTLS now\r\n')
  await client.expect(/^501 5\.5\.4 /)
  await using plain = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 } })
  using other = await plain.client()
  other.send('STARTTLS\r\n')
  await other.expect(/^502 5\.5\.1 /)
})

/** A back-end that upgrades, then serves as a sink. */
function tlsBackend(sink: Sink, pair = certificate): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz ESMTP\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250-fritz\r\n250 STARTTLS\r\n')
    await peer.expect(/^STARTTLS\r\n/)
    peer.socket.removeAllListeners('data')
    peer.send('220 go\r\n')
    const socket = new TLSSocket(peer.socket, { isServer: true, cert: pair.cert, key: pair.key })
    socket.on('error', () => undefined)
    const inner = new Peer(socket)
    await sink.serve(inner, '')
  })
}

test('a message goes to a back-end by STARTTLS, verified', async () => {
  const sink = new Sink()
  await using fritz = await tlsBackend(sink)
  await using relay = await start(fritz.port, 'tls: starttls')
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  assert.equal(sink.stored.length, 1)
  assert.doesNotMatch(fritz.received, /MAIL|RCPT/)
})

test('a back-end with a certificate for another name gets nothing', async () => {
  const sink = new Sink()
  await using fritz = await tlsBackend(sink, authority.issue(['elsewhere.example.com']))
  await using relay = await start(fritz.port, 'tls: starttls')
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/451 4\.4\.1 .*\r\n554 5\.5\.1 /)
  const { step, reason } = await relay.runtime.waitFor('backend')
  assert.deepEqual([step, reason], ['tls', 'cert'])
  assert.deepEqual(sink.commands, [])
})

const stripped: readonly [what: string, says: readonly string[], reason: string][] = [
  ['does not offer STARTTLS', ['250 fritz\r\n'], 'tls_unavailable'],
  ['knows no EHLO', ['502 what\r\n'], 'tls_unavailable'],
  ['refuses STARTTLS', ['250-fritz\r\n250 STARTTLS\r\n', '454 4.7.0 no\r\n'], 'tls_unavailable'],
  [
    'says more along with its answer to STARTTLS',
    ['250-fritz\r\n250 STARTTLS\r\n', '220 go\r\n250-evil\r\n250 ok\r\n'],
    'starttls_surplus',
  ],
]

for (const [what, reason] of [
  ['closes', 'tls_handshake'],
  ['is silent', 'timeout'],
  ['talks on in plain text', 'tls_handshake'],
] as const) {
  test(`a back-end that ${what} instead of a handshake gets nothing`, async () => {
    await using fritz = await ScriptedBackend.start(async (peer) => {
      peer.send('220 fritz ESMTP\r\n')
      await peer.expect(/^EHLO .*\r\n/)
      peer.send('250-fritz\r\n250 STARTTLS\r\n')
      await peer.expect(/^STARTTLS\r\n/)
      peer.send('220 go\r\n')
      // The first octet of the handshake: nothing before it was taken for part of the reply.
      // oxlint-disable-next-line no-control-regex -- the type of a TLS record
      await peer.expect(/\x16/)
      if (what === 'closes') peer.socket.end()
      if (what === 'talks on in plain text') peer.send('250 ok\r\n')
      await peer.end()
    })
    await using relay = await TestRelay.start({
      backends: { fritz: `smtp: ${fritz.port}, tls: starttls`, ingrid: 9 },
      serverTls,
      backendTls,
      config: 'limits: {connect_timeout: 300ms}\n',
    })
    using client = await relay.client()
    client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n')
    await client.expect(/^250 .*\r\n451 4\.4\.1 .*\r\n/)
    assert.deepEqual((await relay.runtime.waitFor('backend')).reason, reason)
    assert.doesNotMatch(fritz.received, /MAIL|RCPT/)
  })
}

for (const [what, says, reason] of stripped) {
  test(`a back-end that ${what} gets no mail in plain text`, async () => {
    await using fritz = await ScriptedBackend.start(async (peer) => {
      peer.send('220 fritz ESMTP\r\n')
      for (const text of says) {
        await peer.line()
        peer.send(text)
      }
      await peer.end()
    })
    await using relay = await start(fritz.port, 'tls: starttls')
    using client = await relay.client()
    client.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
    await client.expect(/^250 .*\r\n451 4\.4\.1 .*\r\n/)
    assert.equal((await relay.runtime.waitFor('backend')).reason, reason)
    assert.doesNotMatch(fritz.received, /MAIL|RCPT|^HELO/m)
  })
}
