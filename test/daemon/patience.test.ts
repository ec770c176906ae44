/** How long clients are waited for. The deadlines' interval is moved by hand. */
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { mock, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { FrontEnd } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { loginWords } from '../support/login-words.ts'
import { ScriptedBackend } from '../support/peer.ts'
import { seen, Sink, TestRelay } from '../support/relay.ts'
import { tlsParties } from '../support/tls-parties.ts'

const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'
const { certificate, serverTls } = tlsParties()

// For all tests at once: what one leaves behind keeps the interval, and the next one moves it.
mock.timers.enable({ apis: ['setInterval'] })

/** Time stands still until this is called. */
async function pass(seconds: number): Promise<void> {
  for (let tenth = 0; tenth < seconds * 10; tenth++) {
    mock.timers.tick(100)
    if (tenth % 10 === 0) await setImmediate()
  }
}

test('clients that say little more than nothing before a login are gone after a minute', async () => {
  await using front = await FrontEnd.start({ service: 'imap' })
  using client = await front.connect()
  await client.line()
  for (let second = 0; second < 55; second += 5) {
    client.send('a')
    await pass(5)
  }
  assert.equal(client.closed, false)
  await pass(6)
  assert.match(await client.end(), /^\* BYE /)
  assert.equal((await front.runtime.waitFor('refuse')).reason, 'preauth_timeout')
})

test('a literal that is begun and not ended is waited for no longer than anything else', async () => {
  await using front = await FrontEnd.start({ service: 'imap' })
  using client = await front.connect()
  await client.line()
  client.send('a LOGIN {5}\r\n')
  await client.expect(/^\+ .*\r\n/)
  client.send('abc')
  await pass(58)
  assert.deepEqual(front.runtime.eventsOf('refuse'), [])
  await pass(3)
  assert.match(await client.end(), /^\* BYE /)
  assert.equal((await front.runtime.waitFor('refuse')).reason, 'preauth_timeout')
})

test('a session may be silent for thirty-one minutes, and a word of either side begins them anew', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(loginWords.imap.backendGreeting)
    await serveLogin(peer, { service: 'imap', certificate })
    await peer.expect(/^c IDLE\r\n/)
    peer.send('+ idling\r\n')
  })
  await using front = await FrontEnd.start({ service: 'imap', backendPort: backend.port })
  using client = await front.connect()
  client.send('b LOGIN ann secret\r\n')
  await client.expect(/^b OK .*\r\n/m)
  const minute = 60
  await pass(30 * minute)
  // What IDLE is renewed by at the latest (RFC 2177), and what a back-end says meanwhile.
  await client.send('c IDLE\r\n').expect(/^\+ .*\r\n/)
  await pass(30 * minute)
  backend.peers[0]?.send('* OK still here\r\n')
  await client.expect(/^\* OK still here\r\n/)
  await pass(31 * minute - 1)
  assert.deepEqual([client.closed, front.runtime.eventsOf('refuse')], [false, []])
  await pass(2)
  await client.end()
  assert.equal((await front.runtime.waitFor('refuse')).reason, 'idle_timeout')
  assert.equal((await front.runtime.waitFor('session.end')).end, 'refused')
})

test('a client that has said that it leaves is not waited for, though it does not close', async () => {
  const words = {
    imap: 'a LOGOUT\r\n',
    pop3: 'QUIT\r\n',
    sieve: 'LOGOUT\r\n',
    submission: 'QUIT\r\n',
  } as const
  for (const [service, word] of Object.entries(words) as [keyof typeof words, string][]) {
    await using front = await FrontEnd.start({ service })
    const socket = connect({ port: front.port, host: '127.0.0.1', allowHalfOpen: true })
    socket.write(word)
    let heard = ''
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) heard += String(chunk)
    assert.match(heard, /(?:\* BYE .*\r\na OK|\+OK|^OK|221) [^\r]*\r\n$/m, service)
    assert.equal((await front.runtime.waitFor('session.end')).end, 'logout')
    socket.destroy()
  }
})

test('where there is little room they are gone after ten seconds, also those of before', async () => {
  await using front = await FrontEnd.start({ service: 'imap' })
  const early = await Promise.all(Array.from({ length: 50 }, () => front.connect()))
  for (const client of early) await client.line()
  await pass(15)
  assert.equal(front.runtime.sessions.size, 50)
  front.runtime.isCrowded = true
  using late = await front.connect()
  await late.line()
  for (const client of early) client.send('a')
  await pass(6)
  for (const client of early) assert.match(await client.end(), /^\* BYE /)
  assert.equal(late.closed, false)
  await pass(6)
  assert.match(await late.end(), /^\* BYE /)
  await front.runtime.waitFor('refuse', 51)
  assert.ok(front.runtime.eventsOf('refuse').every(({ reason }) => reason === 'preauth_timeout'))
})

test('an SMTP client may be silent for five minutes, or ten seconds where there is little room', async () => {
  await using relay = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 } })
  using client = await relay.client()
  await pass(200)
  client.send('NOOP\r\n')
  await client.expect(/^250 .*\r\n/)
  await pass(200)
  client.send('NOOP\r\n')
  await client.expect(/^250 .*\r\n/)
  relay.runtime.isCrowded = true
  await pass(22)
  await client.expect(/^421 4\.4\.2 waited too long/)
  await client.end()
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'idle_timeout')
})

test('a command that comes octet by octet has no longer than one that comes at once', async () => {
  for (const protocol of ['smtp', 'lmtp'] as const) {
    await using relay = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 }, protocol })
    using client = await relay.connect()
    await client.expect(/^220 .*\r\n/)
    for (let second = 0; second < 290; second += 10) {
      client.send('N')
      await pass(10)
    }
    assert.equal(client.closed, false)
    client.send('OOP\r\n')
    await client.expect(/^500 .*\r\n/)
    relay.runtime.isCrowded = true
    await pass(4)
    for (let second = 0; second < 20 && !client.closed; second += 4) {
      client.send('N')
      await pass(4)
    }
    await client.expect(/^421 4\.4\.2 waited too long/)
    await client.end()
    assert.equal((await relay.runtime.waitFor('refuse')).reason, 'idle_timeout')
  }
})

test('a client that does not come to its handshake is gone, and hears nothing in clear text', async () => {
  await using front = await FrontEnd.start({
    service: 'imap',
    tls: 'starttls',
    serverTls,
  })
  using client = await front.connect()
  await client.line()
  client.send('a STARTTLS\r\n')
  await client.expect(/^a OK .*\r\n/)
  front.runtime.isCrowded = true
  await pass(12)
  assert.equal(await client.end(), '')
  assert.equal((await front.runtime.waitFor('refuse')).reason, 'preauth_timeout')
})

/** A client that has sent the head of a message, and the back-end that gets it. */
async function startMessage(stack: AsyncDisposableStack) {
  const { sink, backend } = await Sink.start()
  const fritz = stack.use(backend)
  const backends = { fritz: fritz.port, ingrid: 9 }
  const relay = stack.use(await TestRelay.start({ backends }))
  const client = stack.use(await relay.client())
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.send('Subject: x\r\n\r\n')
  return { sink, fritz, relay, client }
}

test('a message that trickles is given up after a minute, and leaves nothing behind', async () => {
  await using stack = new AsyncDisposableStack()
  const { sink, fritz, relay, client } = await startMessage(stack)
  for (let line = 0; line < 12 && !client.closed; line++) {
    client.send(`line ${line}.\r\n`)
    await seen(fritz, new RegExp(`line ${line}\\.`))
    await pass(5)
  }
  await pass(11)
  await client.expect(/421 4\.4\.2 the message comes too slowly, closing\r\n/)
  await client.end()
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'slow_data')
  await relay.runtime.idle()
  assert.deepEqual(sink.stored, [])
})

test('a message that comes fast enough takes as long as it needs', async () => {
  await using stack = new AsyncDisposableStack()
  const { sink, fritz, relay, client } = await startMessage(stack)
  const filling = `${'x'.repeat(70)}\r\n`.repeat(200)
  for (let part = 0; part < 18; part++) {
    client.send(`${filling}part ${part}.\r\n`)
    await seen(fritz, new RegExp(`part ${part}\\.`))
    await pass(12)
  }
  client.send('.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(sink.stored.length, 1)
  assert.deepEqual(relay.runtime.eventsOf('refuse'), [])
})

test('what comes before the greeting is refused, and who waits is greeted', async () => {
  await using relay = await TestRelay.start({
    backends: { fritz: 9, ingrid: 9 },
    listener: 'tls: none, greeting_delay: 300ms',
  })
  using early = await relay.connect()
  using patient = await relay.connect()
  early.send('EHLO client.example.net\r\n')
  assert.match(await early.end(), /^554 5\.5\.0 [^\r]*\r\n$/)
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'early_talker')
  await patient.expect(/^220 .*\r\n/)
  patient.send('EHLO client.example.net\r\n')
  await patient.expect(/^250 [^\r]*\r\n/m)
  using half = await relay.connect()
  half.socket.end()
  assert.match(await half.end(), /^220 [^\r]*\r\n$/)
  using late = await relay.connect()
  while (relay.runtime.sessions.size < 2) await setImmediate()
  for (const session of relay.runtime.sessions) session.shutdown()
  assert.match(await late.end(), /^421 4\.3\.2 [^\r]*\r\n$/)
  using gone = await relay.connect()
  gone.socket.resetAndDestroy()
  await relay.runtime.waitFor('session.end', 5)
})

test('messages and recipients beyond those of an address are put off', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  relay.runtime.messagesLeft = 2
  relay.runtime.recipientsLeft = 3
  using client = await relay.client()
  client.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n/)
  client.send('DATA\r\n')
  await client.expect(/^354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 .*\r\n/)
  client.send('MAIL FROM:<bob@example.net>\r\n')
  for (let count = 0; count < 3; count++) client.send('RCPT TO:<amy@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n250 .*\r\n450 4\.7\.1 too many recipients .*\r\n/)
  client.send('RSET\r\nMAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n450 4\.7\.1 too many messages .*\r\n/)
  const reasons = relay.runtime.eventsOf('refuse').map(({ reason }) => reason)
  assert.deepEqual(reasons, ['rcpt_rate', 'message_rate'])
  assert.equal(sink.stored.length, 1)
})
