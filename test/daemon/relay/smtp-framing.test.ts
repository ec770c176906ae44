/** What of a message reaches the back-end, octet by octet, and what never does. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Peer } from '../../support/peer.ts'
import { Sink, seen, TestRelay } from '../../support/relay.ts'

const envelope = 'MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n'
const trace = /^Received: .*\r\n(?:\t.*\r\n)*/

async function start(listener?: string) {
  const { sink, backend } = await Sink.start()
  const relay = await TestRelay.start({
    backends: { fritz: backend.port, ingrid: 9 },
    ...(listener === undefined ? {} : { listener }),
  })
  const stack = new AsyncDisposableStack()
  stack.use(backend)
  stack.use(relay)
  return { sink, backend, relay, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

async function openMessage(relay: TestRelay): Promise<Peer> {
  const client = await relay.client()
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  return client
}

const refused: readonly [message: string, reason: string, reply: RegExp][] = [
  ['x\r\n\n.\n', 'bare_lf', /^550 5\.5\.2 /],
  ['x\n.\r\n', 'bare_lf', /^550 5\.5\.2 /],
  ['x\r\n.\n', 'bare_lf', /^550 5\.5\.2 /],
  ['x\r.\r', 'bare_cr', /^550 5\.5\.2 /],
  ['x\r.\r\n', 'bare_cr', /^550 5\.5\.2 /],
  ['x\n.\r', 'bare_lf', /^550 5\.5\.2 /],
  ['x\r.\n', 'bare_cr', /^550 5\.5\.2 /],
  ['x\r\r\n.\r\r\n', 'bare_cr', /^550 5\.5\.2 /],
  ['x\r\n.\r\r\n', 'bare_cr', /^550 5\.5\.2 /],
  ['x\r\n\0.\r\n', 'nul_in_data', /^550 5\.6\.0 /],
  ['x\r\n.\0\r\n', 'nul_in_data', /^550 5\.6\.0 /],
]

for (const [message, reason, reply] of refused) {
  test(`${JSON.stringify(message)} ends no message: it is refused, and the back-end cut off`, async () => {
    await using place = await start()
    using client = await openMessage(place.relay)
    client.send('Subject: x\r\n\r\nfirst\r\n')
    await seen(place.backend, /first\r\n/)
    client.send(`${message}MAIL FROM:<evil@example.net>\r\n${envelope}y\r\n`)
    client.send('.\r\nNOOP\r\n')
    await client.expect(reply)
    assert.doesNotMatch(await client.end(), /250/)
    const { reason: told } = await place.relay.runtime.waitFor('refuse')
    assert.equal(told, reason)
    assert.equal((await place.relay.runtime.waitFor('session.end')).end, 'refused')
    assert.equal(place.relay.runtime.eventsOf('refuse').length, 1)
    assert.deepEqual(place.sink.stored, [])
    // Cut off, not kept for others: what it has had of the message would go on with theirs.
    await place.backend.peers[0]?.end()
    const { received } = place.backend
    assert.doesNotMatch(received, /\r(?!\n)|(?<!\r)\n|\0|\r\n\.\r\n|evil/)
    assert.equal(received.match(/^MAIL/gm)?.length, 1)
  })
}

test('in normalize mode a bare LF is mended, and a dot after it is no end', async () => {
  await using place = await start('tls: none, bare_newline: normalize')
  using client = await openMessage(place.relay)
  client.send('x\n.\ny\r\n.\r\n')
  await client.expect(/^250 /)
  assert.equal(place.sink.stored[0]?.data.replace(trace, ''), 'x\r\n..\r\ny\r\n')
  assert.equal((await place.relay.runtime.waitFor('message')).bare_lf, 2)
})

const stuffed = ['..', '...', '..x', '.x'].map((line) => `Subject: a\r\n${line}\r\n\r\n${line}\r\n`)

for (const message of [...stuffed, '..\r\n', '']) {
  test(`${JSON.stringify(message)} reaches the back-end as it was stuffed`, async () => {
    await using place = await start()
    using client = await openMessage(place.relay)
    client.send(`${message}.\r\n`)
    await client.expect(/^250 2\.0\.0 stored/)
    assert.equal(place.sink.stored[0]?.data.replace(trace, ''), message)
  })
}

test('an end of data cut anywhere is the same end, and what follows is the next command', async () => {
  const tail = 'x\r\n..\r\n.\r\nMAIL FROM:<a@b.example>\r\n'
  await using place = await start()
  for (let cut = 1; cut < 14; cut++) {
    using client = await openMessage(place.relay)
    client.send(tail.slice(0, cut))
    // The first part has been read on its own when the back-end has it, or has it but for what may
    // belong to the end.
    await seen(place.backend, new RegExp(`(?:Received: [^]*?){${cut}}`))
    client.send(tail.slice(cut))
    await client.expect(/^250 2\.0\.0 stored\r\n250 2\.1\.0 ok\r\n/)
    assert.equal(place.sink.stored.at(-1)?.data.replace(trace, ''), 'x\r\n..\r\n', `${cut}`)
    client.send('QUIT\r\n')
    await client.end()
  }
  assert.equal(place.sink.stored.length, 13)
})

test('an end of data that stops before its LF waits for it', async () => {
  await using place = await start()
  using client = await openMessage(place.relay)
  client.send('x\r\n.\r')
  await seen(place.backend, /x\r\n/)
  assert.equal(place.sink.stored.length, 0)
  client.send('\nMAIL FROM:<a@b.example>\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n250 2\.1\.0 ok\r\n/)
  assert.equal(place.sink.stored.length, 1)
  assert.equal(place.sink.commands.filter((line) => line.startsWith('MAIL')).length, 1)
})

test('a message in the segment of DATA is refused, and no DATA goes out', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send(`${envelope}Subject: x\r\n\r\nhi\r\n.\r\n`)
  await client.expect(/554 5\.5\.0 .*\r\n/)
  await client.end()
  assert.equal((await place.relay.runtime.waitFor('refuse')).reason, 'unauth_pipelining')
  assert.doesNotMatch(place.backend.received, /DATA|Subject/)
})

test('a transaction in the segment of the message before waits for its verdict', async () => {
  await using place = await start()
  using client = await openMessage(place.relay)
  client.send(`x\r\n.\r\n${envelope}`)
  await client.expect(/^250 2\.0\.0 stored\r\n250 2\.1\.0 ok\r\n250 2\.1\.0 ok\r\n354 /)
  client.send('y\r\n.\r\nQUIT\r\n')
  await client.expect(/250 2\.0\.0 stored\r\n221 /)
  assert.deepEqual(
    place.sink.stored.map(({ data }) => data.replace(trace, '')),
    ['x\r\n', 'y\r\n'],
  )
  const order = place.backend.received
  assert.ok(order.indexOf('x\r\n.\r\n') < order.indexOf('RSET'))
})

test('a line of the size of the limit is streamed as it is, and refused beyond it', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    config: 'limits: {message_size: 1MiB}\n',
  })
  using client = await openMessage(relay)
  client.send(`A: b\r\n\r\n${'x'.repeat(1_000_000)}\r\n.\r\n`)
  await client.expect(/^250 2\.0\.0 stored/)
  assert.equal(sink.stored[0]?.data.replace(trace, '').length, 1_000_010)
  client.send(envelope)
  await client.expect(/354 /)
  client.send('A: b\r\n\r\n')
  for (let count = 0; count < 17; count++) client.send(Buffer.alloc(65_536, 'x'))
  client.send('\r\n.\r\nNOOP\r\n')
  await client.expect(/552 5\.3\.4 .*\r\n250 2\.0\.0 ok\r\n/)
  assert.equal(sink.stored.length, 1)
  assert.equal((await relay.runtime.waitFor('refuse')).reason, 'message_too_big')
})

/** A header section of that size, with the blank line that ends it. */
function header(bytes: number): string {
  const line = `X: ${'y'.repeat(995)}\r\n`
  const lines = line.repeat(Math.floor(bytes / line.length) - 1)
  return `${lines}X: ${'y'.repeat(bytes - lines.length - 7)}\r\n\r\n`
}

test('a header section of the size of the limit is passed on, one octet more is refused', async () => {
  await using place = await start()
  using client = await openMessage(place.relay)
  client.send(`${header(262_144)}x\r\n.\r\n`)
  await client.expect(/^250 2\.0\.0 stored/)
  client.send(envelope)
  await client.expect(/354 .*\r\n/)
  client.send(`${header(262_145)}x\r\n.\r\nNOOP\r\n`)
  await client.expect(/^552 5\.3\.4 header too large\r\n250 2\.0\.0 ok\r\n/)
  assert.equal((await place.relay.runtime.waitFor('refuse')).reason, 'message_too_big')
  await place.backend.peers[0]?.end()
  assert.equal(place.sink.stored.length, 1)
})

test('a message that was received fifty times is not passed on', async () => {
  await using place = await start()
  using client = await openMessage(place.relay)
  client.send(`${'Received: x\r\n'.repeat(50)}\r\nx\r\n.\r\n`)
  await client.expect(/^554 5\.4\.6 /)
  assert.equal((await place.relay.runtime.waitFor('refuse')).reason, 'loop')
  assert.deepEqual(place.sink.stored, [])
  client.send(`RSET\r\n${envelope}`)
  await client.expect(/354 /)
})

test('a message that comes back from its back-end is stopped at the third pass', async () => {
  let data = 'Subject: round\r\n\r\nx\r\n'
  const { backend } = await Sink.start({
    taken: (text) => {
      data = text
    },
  })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  const verdicts: string[] = []
  for (let pass = 0; pass < 4; pass++) {
    using client = await openMessage(relay)
    client.send(`${data}.\r\n`)
    const [verdict] = await client.expect(/^\d{3} \S+/)
    verdicts.push(verdict)
  }
  assert.deepEqual(verdicts, ['250 2.0.0', '250 2.0.0', '250 2.0.0', '554 5.4.6'])
})

test('after a refused message the next recipient needs a new MAIL, and the back-end hears nothing', async () => {
  const { sink, backend } = await Sink.start({ verdict: () => '554 5.6.0 spam\r\n' })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await openMessage(relay)
  client.send('x\r\n.\r\n')
  await client.expect(/^554 5\.6\.0 spam\r\n/)
  client.send('RCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^503 5\.5\.1 .*\r\n503 5\.5\.1 .*\r\n/)
  assert.deepEqual(sink.commands.slice(1), [
    'MAIL FROM:<bob@example.net>',
    'RCPT TO:<ann@example.com>',
    'DATA',
  ])
})

test('a client that leaves before the end of data leaves no message', async () => {
  const message = 'A: b\r\n\r\nx\r\n.\r\n'
  await using place = await start()
  for (let at = 0; at < message.length; at += 3) {
    const client = await openMessage(place.relay)
    client.send(message.slice(0, at))
    client.socket.end()
    await client.end()
  }
  await place.relay.runtime.idle()
  assert.deepEqual(place.sink.stored, [])
  assert.doesNotMatch(place.backend.received, /^\.\r\n|QUIT/m)
})

test('a client that leaves after the end of data leaves a message, and its verdict is in the log', async () => {
  await using place = await start()
  const client = await openMessage(place.relay)
  client.send('x\r\n.\r\n')
  client.socket.destroySoon()
  const { code } = await place.relay.runtime.waitFor('message')
  assert.equal(code, 250)
  await place.relay.runtime.waitFor('session.end')
  assert.equal(place.sink.stored.length, 1)
})
