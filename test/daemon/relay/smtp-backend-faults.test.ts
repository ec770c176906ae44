/** A back-end that dies, stalls or talks nonsense at each step of a message. */
import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { relayPoolOf } from '../../../src/daemon/relay/relay-pool.ts'
import {
  type Fault,
  faults,
  misbehave,
  type Step,
  serveUpTo,
  steps,
} from '../../support/misbehaving.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { Sink, TestRelay } from '../../support/relay.ts'

const quick = 'limits: {login_timeout: 300ms, command_timeout: 300ms, data_timeout: 300ms}\n'

interface Outcome {
  /** Replies to RCPT, DATA and the message, as far as they come. */
  readonly replies: readonly string[]
  readonly stored: boolean
}

/** `midway` is waited for between the beginning of the message and its end. */
async function deliver(client: Peer, midway: () => unknown = () => undefined): Promise<Outcome> {
  const replies: string[] = []
  const say = async (text: string): Promise<string> => {
    client.send(text)
    const [reply] = await client.expect(/^(?:\d{3}-.*\r\n)*\d{3} .*\r\n/)
    replies.push(reply.slice(0, 9).trim())
    return reply
  }
  client.send('MAIL FROM:<bob@example.net>\r\n')
  await client.expect(/^250 .*\r\n/)
  const rcpt = await say('RCPT TO:<ann@example.com>\r\n')
  if (!rcpt.startsWith('250')) return { replies, stored: false }
  const data = await say('DATA\r\n')
  if (!data.startsWith('354')) return { replies, stored: false }
  client.send('Subject: x\r\n\r\nx\r\n')
  await midway()
  const verdict = await say('.\r\n')
  return { replies, stored: verdict.startsWith('250') }
}

/** What the client hears at the step, by fault. */
function expectedAt(step: Step, fault: Fault): RegExp {
  const early = step === 'banner' || step === 'hello'
  if (early) {
    // To a greeting or EHLO of 250s there is a surplus; 421 is a refusal to serve.
    return /^451 4\.4\.1$/
  }
  if (fault === 'shutdown') return step === 'half-verdict' ? /^451 4\.4\.2$/ : /^451 4\.3\.2$/
  if (step === 'end' || step === 'half-verdict') return /^451 4\.4\.2$/
  const isNonsense = fault === 'garbage' || fault === 'long line' || fault === 'surplus'
  return isNonsense ? /^451 4\.3\.0$/ : /^451 4\.4\.2$/
}

for (const step of steps) {
  for (const fault of faults) {
    test(`${fault} at ${step}: a temporary answer, the session goes on, nothing is lost or claimed`, async () => {
      await using fritz = await ScriptedBackend.start((peer) => serveUpTo(peer, step, fault))
      const { sink, backend } = await Sink.start()
      await using ingrid = backend
      await using relay = await TestRelay.start({
        backends: { fritz: fritz.port, ingrid: ingrid.port },
        config: quick,
      })
      using client = await relay.client()
      const isTold = step === 'body' && fault !== 'silence'
      const midway = () => (isTold ? relay.runtime.waitFor('backend') : undefined)
      const { replies, stored } = await deliver(client, midway)
      assert.equal(stored, false)
      assert.match(replies.at(-1) ?? '', expectedAt(step, fault), replies.join(', '))
      const isAfterEnd = step === 'half-verdict' || step === 'end' || (step === 'body' && !isTold)
      const isUnknown = isAfterEnd && !(step === 'end' && fault === 'shutdown')
      assert.equal(relay.runtime.eventsOf('uncertain').length, isUnknown ? 1 : 0)
      assert.equal(relay.runtime.eventsOf('backend').length, 1)
      assert.deepEqual(fritz.failures, [])
      // Another back-end is reached in the same session.
      client.send('RSET\r\nMAIL FROM:<>\r\nRCPT TO:<ida@example.com>\r\nDATA\r\n')
      await client.expect(/354 .*\r\n/)
      client.send('x\r\n.\r\n')
      await client.expect(/^250 2\.0\.0 stored/)
      assert.equal(sink.stored.length, 1)
    })
  }
}

test('a back-end that says too much is never taken at its word', async () => {
  for (const step of ['mail', 'rcpt', 'data', 'body'] as const) {
    await using fritz = await ScriptedBackend.start((peer) => serveUpTo(peer, step, 'surplus'))
    await using relay = await TestRelay.start({
      backends: { fritz: fritz.port, ingrid: 9 },
      config: quick,
    })
    using client = await relay.client()
    const midway = () => (step === 'body' ? relay.runtime.waitFor('backend') : undefined)
    const { stored, replies } = await deliver(client, midway)
    assert.equal(stored, false, step)
    assert.match(replies.at(-1) ?? '', /^451 4\.3\.0$/, `${step}: ${replies.join()}`)
    assert.equal((await relay.runtime.waitFor('backend')).reason, 'desync')
  }
})

for (const step of ['hello', 'rcpt', 'data', 'end'] as const) {
  test(`a back-end that answers octet by octet at ${step} has no more time than others`, async () => {
    await using fritz = await ScriptedBackend.start(async (peer) => {
      await serveUpTo(peer, step, 'silence')
      const octets = setInterval(() => peer.send('2'), 20)
      peer.send('250-')
      await peer.end().finally(() => clearInterval(octets))
    })
    await using relay = await TestRelay.start({
      backends: { fritz: fritz.port, ingrid: 9 },
      config: quick,
    })
    using client = await relay.client()
    const { replies } = await deliver(client)
    assert.match(replies.at(-1) ?? '', step === 'hello' ? /^451 4\.4\.1$/ : /^451 4\.4\.2$/)
    assert.equal((await relay.runtime.waitFor('backend')).reason, 'timeout')
    assert.equal(relay.runtime.eventsOf('uncertain').length, step === 'end' ? 1 : 0)
  })
}

const overlong: readonly [what: string, text: string][] = [
  ['ten thousand lines', '250-more\r\n'.repeat(10_000)],
  ['more octets than its lines may have', `250-${'x'.repeat(4000)}\r\n`.repeat(20)],
  ['lines of different codes', '250-one\r\n550 two\r\n'],
  ['a code that is none', '99x what\r\n'],
  ['NUL', '250 o\0k\r\n'],
]

for (const [what, text] of overlong) {
  test(`a reply of ${what} is no reply, and costs little`, async () => {
    await using fritz = await ScriptedBackend.start(async (peer) => {
      await serveUpTo(peer, 'rcpt', 'silence')
      peer.send(text)
      await peer.end()
    })
    await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
    using client = await relay.client()
    const { replies } = await deliver(client)
    assert.deepEqual(replies, ['451 4.3.0'])
    const { step, reason } = await relay.runtime.waitFor('backend')
    assert.deepEqual([step, reason], ['envelope', 'bad_reply'])
    await fritz.peers[0]?.end()
  })
}

test('what a back-end does with QUIT harms nobody', async () => {
  for (const fault of faults) {
    const sink = new Sink({ answer: (line) => (line === 'QUIT' ? '' : undefined) })
    await using fritz = await ScriptedBackend.start(async (peer) => {
      const send = peer.send.bind(peer)
      peer.send = (text) => {
        if (text !== '') return send(text)
        misbehave(peer, fault)
        return peer
      }
      await sink.serve(peer)
    })
    await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
    using client = await relay.client()
    assert.equal((await deliver(client)).stored, true)
    relayPoolOf(relay.runtime).close()
    while (fritz.peers[0]?.closed === false) await setImmediate()
    assert.equal((await deliver(client)).stored, true, fault)
    assert.equal(sink.commands.filter((line) => line === 'QUIT').length, 1, fault)
    assert.equal(relay.runtime.eventsOf('backend').length, 0, fault)
  }
})

test('a full verdict counts, whatever comes after it', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    await serveUpTo(peer, 'end', 'silence')
    peer.send('250 2.0.0 mine\r\n250 surplus\r\n')
    peer.socket.end()
  })
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  const { stored } = await deliver(client)
  assert.equal(stored, true)
  assert.equal(relay.runtime.eventsOf('uncertain').length, 0)
})

test('a back-end that refuses connections is answered 451, and spared after five attempts', async () => {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = address !== null && typeof address === 'object' ? address.port : 0
  server.close()
  await once(server, 'close')
  await using relay = await TestRelay.start({ backends: { fritz: port, ingrid: 9 } })
  // One client alone would spare nobody the attempt.
  const clients = [await relay.client('127.0.0.1'), await relay.client('127.0.0.2')]
  for (let attempt = 1; attempt <= 7; attempt++) {
    const client = clients[attempt % 2]
    assert.ok(client)
    const { replies } = await deliver(client)
    assert.deepEqual(replies, ['451 4.4.1'])
    client.send('RSET\r\n')
    await client.expect(/^250 .*\r\n/)
  }
  for (const client of clients) client.socket.destroy()
  const details = relay.runtime.eventsOf('backend').map(({ detail }) => detail)
  assert.equal(details.length, 7)
  assert.equal(details.filter((detail) => detail.startsWith('not tried')).length, 2)
  assert.equal((await relay.runtime.waitFor('backend')).step, 'connect')
})

test('pipelined recipients of a dead back-end cost one attempt, and each gets its answer', async () => {
  await using fritz = await ScriptedBackend.start((peer) => serveUpTo(peer, 'banner', 'close'))
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send(`MAIL FROM:<>\r\n${'RCPT TO:<ann@example.com>\r\n'.repeat(20)}DATA\r\n`)
  await client.expect(/^250 .*\r\n(?:451 4\.4\.1 .*\r\n){20}554 5\.5\.1 /)
  assert.equal(fritz.peers.length, 1)
})

const replies: readonly [backend: string, client: RegExp][] = [
  ['450 4.2.1 busy\r\n', /^450 4\.2\.1 busy\r\n/],
  ['452 4.2.2 full\r\n', /^452 4\.2\.2 full\r\n/],
  ['550 no such user\r\n', /^550 5\.0\.0 no such user\r\n/],
  ['552 5.2.2 quota\r\n', /^552 5\.2\.2 quota\r\n/],
  ['553 2.1.3 wrong class\r\n', /^553 5\.0\.0 wrong class\r\n/],
  [
    '550 5.1.1 at fritz.internal [127.0.0.1]\x07no\r\n',
    /^550 5\.1\.1 at mx\.example\.com \[mx\.example\.com\] no\r\n/,
  ],
  ['550-5.7.1 one\r\n550 5.7.1 two\r\n', /^550-5\.7\.1 one\r\n550 5\.7\.1 two\r\n/],
  [`550 5.7.1 ${'x'.repeat(3000)}\r\n`, /^550 5\.7\.1 x{490,502}\r\n/],
  ['421 4.3.2 going\r\n', /^451 4\.3\.2 /],
]

for (const [backendSays, clientHears] of replies) {
  test(`${JSON.stringify(backendSays.slice(0, 40))} at RCPT is passed on as ${String(clientHears)}`, async () => {
    const { backend } = await Sink.start({
      answer: (line) => (line.startsWith('RCPT') ? backendSays : undefined),
    })
    await using fritz = backend
    await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
    using client = await relay.client()
    client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n')
    await client.expect(/^250 .*\r\n/)
    await client.expect(clientHears)
  })
}

test('what a back-end says to MAIL is the answer to the recipient', async () => {
  const { backend } = await Sink.start({
    answer: (line) =>
      line.startsWith('MAIL')
        ? '552 5.3.4 too big\r\n'
        : line.startsWith('RCPT')
          ? '503 no\r\n'
          : undefined,
  })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send('MAIL FROM:<> SIZE=1000\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n552 5\.3\.4 too big\r\n/)
})

test('a back-end without 8BITMIME gets no 8-bit message, and is told of none', async () => {
  const { sink, backend } = await Sink.start({ capabilities: ['PIPELINING'] })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send('MAIL FROM:<> BODY=8BITMIME\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n554 5\.6\.3 .*\r\n554 5\.5\.1 /)
  client.send('MAIL FROM:<> BODY=7BIT\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/250 .*\r\n250 .*\r\n/)
  assert.deepEqual(
    sink.commands.filter((line) => line.startsWith('MAIL')),
    ['MAIL FROM:<>'],
  )
})

test('a back-end without PIPELINING hears one command at a time', async () => {
  const heard: string[] = []
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    for (const answer of [
      '502 what\r\n',
      '250 fritz\r\n',
      '250 ok\r\n',
      '250 ok\r\n',
      '354 go\r\n',
    ]) {
      heard.push(await peer.line())
      assert.equal(peer.unread, '', 'nothing is sent ahead')
      peer.send(answer)
    }
    await peer.expect(/\r\n\.\r\n/)
    peer.send('250 2.0.0 done\r\n')
  })
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 done/)
  assert.deepEqual(heard, [
    'EHLO mx.example.com',
    'HELO mx.example.com',
    'MAIL FROM:<>',
    'RCPT TO:<ann@example.com>',
    'DATA',
  ])
  assert.deepEqual(fritz.failures, [])
})

test('a kept connection that was closed as it was used is replaced, once, and nobody notices', async () => {
  const sink = new Sink()
  await using fritz = await ScriptedBackend.start(async (peer, number) => {
    if (number > 0) return sink.serve(peer)
    await serveUpTo(peer, 'end', 'silence')
    peer.send('250 2.0.0 first\r\n')
    // Closed by the next transaction's first octets.
    await peer.expect(/^RSET\r\n/)
    peer.socket.resetAndDestroy()
  })
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  assert.deepEqual((await deliver(client)).stored, true)
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  assert.deepEqual([fritz.peers.length, sink.stored.length], [2, 1])
  assert.equal(relay.runtime.eventsOf('backend').length, 0)
})

test('a kept connection whose RSET fails is not used', async () => {
  let resets = 0
  const { sink, backend } = await Sink.start({
    answer: (line) => (line === 'RSET' && resets++ === 0 ? '502 no\r\n' : undefined),
  })
  await using fritz = backend
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  assert.equal((await deliver(client)).stored, true)
  const { replies: second } = await deliver(client)
  assert.match(second.at(-1) ?? '', /^451 /)
  client.send('RSET\r\n')
  await client.expect(/^250 .*\r\n/)
  assert.equal((await deliver(client)).stored, true)
  assert.equal(sink.stored.length, 2)
})

test('words of a back-end between two messages end its connection, and harm none', async () => {
  const sink = new Sink()
  const said = Promise.withResolvers<void>()
  await using fritz = await ScriptedBackend.start(async (peer, number) => {
    if (number > 0) return sink.serve(peer)
    await serveUpTo(peer, 'end', 'silence')
    peer.send('250 2.0.0 first\r\n')
    peer.send('250 2.0.0 for your next message\r\n')
    await peer.end()
    said.resolve()
  })
  await using relay = await TestRelay.start({ backends: { fritz: fritz.port, ingrid: 9 } })
  using client = await relay.client()
  assert.equal((await deliver(client)).stored, true)
  await said.promise
  assert.equal((await deliver(client)).stored, true)
  assert.equal(sink.stored.length, 1)
})
