/** Bounds of time, number and memory that hold whatever a client or a back-end does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScriptedBackend } from '../../support/peer.ts'
import { Sink, TestRelay } from '../../support/relay.ts'

const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'

test('a silent client is sent off', async () => {
  await using relay = await TestRelay.start({
    backends: { fritz: 9, ingrid: 9 },
    config: 'limits: {command_timeout: 200ms}\n',
  })
  using client = await relay.client()
  await client.expect(/^421 4\.4\.2 /)
  await client.end()
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'idle_timeout')
})

test('a client that stops in the middle of a message is sent off, and leaves no message', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    config: 'limits: {command_timeout: 200ms}\n',
  })
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.send('Subject: x\r\n')
  await client.expect(/^421 4\.4\.2 /)
  await client.end()
  await relay.runtime.idle()
  assert.deepEqual(sink.stored, [])
})

test('a line without an end is read up to a limit, with little memory', async () => {
  await using relay = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 } })
  using client = await relay.client()
  const before = process.memoryUsage().rss
  const chunk = Buffer.alloc(65_536, 'x')
  for (let sent = 0; sent < 64 && !client.closed; sent++) {
    if (!client.socket.write(chunk)) break
  }
  client.send(chunk)
  await client.expect(/^500 5\.5\.2 line too long\r\n/)
  await client.end()
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'line_too_long')
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
})

test('a web client is sent off at its first line', async () => {
  await using relay = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 } })
  using client = await relay.connect()
  client.send('POST / HTTP/1.1\r\nHost: x\r\n\r\nMAIL FROM:<evil@example.net>\r\n')
  await client.expect(/^220 .*\r\n421 4\.7\.0 .*\r\n/)
  assert.equal(await client.end(), '')
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'http_on_smtp')
})

test('who asks for addresses is sent off, in whatever words a back-end says that there is none', async () => {
  for (const answer of [
    '550 no such user',
    '550 5.1.1 unknown',
    '553 5.1.3 bad',
    '550 5.1.10 none',
  ]) {
    const { backend } = await Sink.start({
      answer: (command) => (command.startsWith('RCPT') ? `${answer}\r\n` : undefined),
    })
    await using fritz = backend
    await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
    using client = await relay.client()
    for (let count = 0; count < 1000; count++) {
      if (count % 7 === 0) client.send('RSET\r\nMAIL FROM:<bob@example.net>\r\n')
      client.send('RCPT TO:<ann@example.com>\r\n')
    }
    const heard = await client.end()
    assert.equal(heard.match(/^55[03] /gm)?.length, 20, answer)
    assert.match(heard, /\r\n421 4\.7\.0 too many unknown recipients\r\n$/, answer)
    const reasons = relay.runtime.eventsOf('refuse').map(({ reason }) => reason)
    assert.deepEqual(reasons, ['rcpt_harvest'], answer)
  }
})

test('who asks for addresses and for DATA in one piece is sent off, and hears no more', async () => {
  const { backend } = await Sink.start({
    answer: (command) => (command.startsWith('RCPT') ? '550 5.1.1 none\r\n' : undefined),
  })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  const recipients = 'RCPT TO:<ann@example.com>\r\n'.repeat(25)
  client.send(`MAIL FROM:<bob@example.net>\r\n${recipients}DATA\r\n`)
  assert.match(
    await client.end(),
    /^250 .*\r\n(?:550 5\.1\.1 .*\r\n){20}421 4\.7\.0 too many unknown recipients\r\n$/,
  )
  assert.equal((await relay.runtime.waitFor('session.end')).end, 'refused')
})

test('refusals that say nothing of an address are no search for addresses', async () => {
  const { backend } = await Sink.start({
    answer: (command) => (command.startsWith('RCPT') ? '550 5.7.1 not from you\r\n' : undefined),
  })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send(
    `MAIL FROM:<bob@example.net>\r\n${'RCPT TO:<ann@example.com>\r\n'.repeat(30)}QUIT\r\n`,
  )
  const heard = await client.end()
  assert.equal(heard.match(/^550 /gm)?.length, 30)
  assert.match(heard, /\r\n221 /)
})

test('a message of 200 MiB streams through bounded memory, though the back-end is slow', async () => {
  const chunk = Buffer.from(`${'x'.repeat(126)}\r\n`.repeat(512))
  const chunks = (200 * 1024 * 1024) / chunk.length
  const { promise: counted, resolve } = Promise.withResolvers<number>()
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250-fritz\r\n250 PIPELINING\r\n')
    await peer.expect(/DATA\r\n/)
    peer.socket.removeAllListeners('data')
    let bytes = 0
    let last = ''
    peer.socket.on('data', (data: Buffer) => {
      bytes += data.length
      last = (last + data.subarray(-5).toString('latin1')).slice(-5)
      // Now and then the back-end needs a rest.
      if (bytes % 64 === 0) {
        peer.socket.pause()
        setImmediate(() => peer.socket.resume())
      }
      if (last !== '\r\n.\r\n') return
      peer.send('250 2.0.0 stored\r\n')
      resolve(bytes)
    })
    peer.send('250 ok\r\n250 ok\r\n354 go\r\n')
    await counted
  })
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    config: 'limits: {message_size: 300MiB}\n',
  })
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.send('Subject: large\r\n\r\n')
  let peak = 0
  const before = process.memoryUsage().rss
  for (let sent = 0; sent < chunks; sent++) {
    if (!client.socket.write(chunk)) {
      await new Promise((drained) => void client.socket.once('drain', drained))
    }
    if (sent % 64 === 0) peak = Math.max(peak, process.memoryUsage().rss - before)
  }
  client.send('.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  const { bytes } = await relay.runtime.waitFor('message')
  assert.equal(bytes, 200 * 1024 * 1024 + 18)
  assert.ok((await counted) > bytes)
  assert.ok(peak < 150 * 1024 * 1024, `${peak}`)
})

test('a back-end that takes nothing makes the client wait, and then fails', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250-fritz\r\n250 PIPELINING\r\n')
    await peer.expect(/DATA\r\n/)
    peer.send('250 ok\r\n250 ok\r\n354 go\r\n')
    peer.socket.pause()
    await peer.end()
  })
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    config: 'limits: {data_timeout: 500ms}\n',
  })
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  const chunk = Buffer.from(`${'x'.repeat(126)}\r\n`.repeat(512))
  client.send('A: b\r\n\r\n')
  for (let sent = 0; sent < 320; sent++) client.send(chunk)
  client.send('.\r\nNOOP\r\n')
  await client.expect(/^451 4\.4\.2 .*\r\n250 2\.0\.0 ok\r\n/)
  const { step, reason } = await relay.runtime.waitFor('backend')
  assert.deepEqual([step, reason], ['data', 'timeout'])
  assert.equal(relay.runtime.eventsOf('uncertain').length, 0)
})

test('a stop lets a message end, then says so', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using idle = await relay.client()
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  relay.runtime.draining = true
  for (const session of relay.runtime.sessions) session.shutdown()
  await idle.expect(/^421 4\.3\.2 /)
  await idle.end()
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n421 4\.3\.2 /)
  await client.end()
  await relay.runtime.idle()
  assert.equal(sink.stored.length, 1)
  const ends = relay.runtime.eventsOf('session.end').map(({ end }) => end)
  assert.deepEqual(ends, ['shutdown', 'shutdown'])
})

test('a client that ends its side is answered what it asked before', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.socket.end('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  await client.end()
  assert.equal(sink.stored.length, 1)
})

test('a hundred clients at once get their own answers', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  await Promise.all(
    Array.from({ length: 100 }, async (_, number) => {
      using client = await relay.client()
      client.send(envelope.replace('bob', `bob${number}`))
      await client.expect(/354 .*\r\n/)
      client.send(`Subject: ${number}\r\n\r\nx\r\n.\r\n`)
      await client.expect(/^250 2\.0\.0 stored\r\n/)
      client.send('QUIT\r\n')
      await client.end()
    }),
  )
  assert.equal(sink.stored.length, 100)
  for (const { sender, data } of sink.stored) {
    const [, number] = /<bob(\d+)@/.exec(sender) ?? []
    assert.match(data, new RegExp(`^Subject: ${number}\r\n`, 'm'))
  }
})
