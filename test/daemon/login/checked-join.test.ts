/** Submission with an eye on senders, over real sockets: what goes through, and how it ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loginOffersOf } from '../../../src/daemon/login/login-offers.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { ask, reply } from '../../support/message.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { greeted, saslWords } from '../../support/sasl-login.ts'
import { routeTo } from '../../support/test-runtime.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { authority, certificate, serverTls, trust } = tlsParties()

const user = 'ann@example.com'
const toAnn = routeTo('fritz', user)

function startBackend(then: (peer: Peer) => Promise<void>): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz ready\r\n')
    if (await serveLogin(peer, { service: 'submission', certificate })) await then(peer)
  })
}

function startFront(
  backend: ScriptedBackend,
  options: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  const destinations = toAnn.result === 'route' ? [toAnn.destination] : []
  return FrontEnd.start({
    service: 'submission',
    backendPort: backend.port,
    backendName: 'fritz.example.com',
    serverTls,
    trust,
    config: ['check_sender: own'],
    routes: {
      [user]: toAnn,
      'info@example.com': { result: 'expand', user: 'info@example.com', destinations },
      'bob@example.com': routeTo('fritz', 'bob@example.com'),
    },
    ...options,
  })
}

const logIn = saslWords.submission.plain(user, 'secret')

async function loggedIn(front: FrontEnd): Promise<Peer> {
  const client = await greeted(await front.connect(), 'submission')
  client.send(logIn)
  await client.expect(/^235 .*\r\n/)
  return client
}

/** Takes messages; what it was sent is in `received`. */
async function takeMessages(peer: Peer): Promise<void> {
  for (;;) {
    const line = await peer.line()
    if (line === 'DATA') {
      peer.send('354 go on\r\n')
      await peer.message()
      peer.send('250 2.0.0 queued\r\n')
    } else if (line === 'QUIT') {
      peer.send('221 2.0.0 bye\r\n')
      peer.socket.end()
      return
    } else peer.send('250 2.1.0 Ok\r\n')
  }
}

/** Up to the message. */
async function takeEnvelope(peer: Peer): Promise<void> {
  for (let line = ''; line !== 'DATA'; ) {
    line = await peer.line()
    peer.send(line === 'DATA' ? '354 go on\r\n' : '250 2.1.0 Ok\r\n')
  }
}

const envelope = [`MAIL FROM:<${user}>`, 'RCPT TO:<x@example.net>', 'DATA']

for (const tls of ['none', 'starttls'] as const) {
  test(`senders are checked, messages go through, and the session ends in order (TLS: ${tls})`, async () => {
    await using backend = await startBackend(takeMessages)
    await using front = await startFront(backend, {
      backendTls: tls,
      tls: tls === 'none' ? 'none' : 'implicit',
    })
    using client = await front.connect()
    if (tls !== 'none') await client.startTls({ ca: authority.ca, servername: 'mx1.example.com' })
    await greeted(client, 'submission')
    client.send(logIn)
    await client.expect(/^235 .*\r\n/)
    const [own, foreign, alias] = await ask(
      client,
      `MAIL FROM:<${user}>`,
      'MAIL FROM:<bob@example.com>',
      'MAIL FROM:<info@example.com>',
    )
    assert.match(own ?? '', /^250 /)
    assert.match(foreign ?? '', /^553 5\.7\.1 /)
    assert.match(alias ?? '', /^250 /)
    const message = `Subject: x\r\n\r\n${'some text\r\n'.repeat(40_000)}`
    await ask(client, 'RCPT TO:<x@example.net>', 'DATA')
    client.send(`${message}.\r\nQUIT\r\n`)
    assert.match(await reply(client), /^250 2\.0\.0 queued/)
    assert.match(await reply(client), /^221 /)
    assert.equal(await client.end(), '')
    const { received } = backend.peers[0] ?? { received: '' }
    assert.ok(received.includes(`DATA\r\n${message}.\r\nQUIT\r\n`))
    assert.ok(!received.includes('bob'))
    const end = await front.runtime.waitFor('session.end')
    assert.deepEqual([end.end, end.user, end.backend], ['logout', user, 'fritz'])
    assert.ok(end.bytes_in > message.length)
    assert.deepEqual(
      front.runtime.eventsOf('refuse').map(({ reason }) => reason),
      ['sender_denied'],
    )
    assert.deepEqual(backend.failures, [])
  })
}

test('before and after the login EHLO offers no way for a message but DATA', async () => {
  await using backend = await startBackend(takeMessages)
  await using front = await startFront(backend, { limits: { message_size: '1000' } })
  const offers = loginOffersOf(front.runtime, 'submission')
  const offer = {
    mechanisms: new Set(['PLAIN']),
    capabilities: ['SIZE 5000', 'CHUNKING', 'BINARYMIME', 'BURL imap', '8BITMIME'],
  }
  const { config } = front.runtime.current
  const endpoint = config.backends.get('fritz')?.endpoints.submission
  assert.ok(endpoint !== undefined)
  const rest = { trust: undefined, hostname: '', clientAddress: 'none', timeoutMs: 1 } as const
  offers.learn({ backend: 'fritz', protocol: 'submission', endpoint, ...rest }, offer)
  using client = await loggedIn(front)
  assert.match(
    client.received,
    /^250-mx1\.example\.com\r\n250-8BITMIME\r\n250-SIZE 1000\r\n250 AUTH/m,
  )
  client.send('EHLO x\r\n')
  await client.expect(/^250-mx1\.example\.com\r\n250-8BITMIME\r\n250 SIZE 1000\r\n$/)
})

test('what is pipelined behind the login is checked, and delivered once', async () => {
  await using backend = await startBackend(takeMessages)
  await using front = await startFront(backend)
  using client = await greeted(await front.connect(), 'submission')
  const commands = ['MAIL FROM:<eve@example.net>', ...envelope].map((line) => `${line}\r\n`)
  client.send(`${logIn}${commands.join('')}a\r\n.\r\n`)
  await client.expect(/^235 .*\r\n553 .*\r\n250 .*\r\n250 .*\r\n354 .*\r\n250 2\.0\.0 queued\r\n/)
  assert.ok(backend.received.endsWith(`${envelope.join('\r\n')}\r\na\r\n.\r\n`))
  // It ends its side, and is still answered.
  client.socket.end('NOOP\r\n')
  assert.match(await client.end(), /^250 .*\r\n$/)
  assert.equal((await front.runtime.waitFor('session.end')).end, 'client_closed')
})

for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
  test(`of a message whose client leaves (${leave}) the back-end sees no end`, async () => {
    const { promise: half, resolve: told } = Promise.withResolvers<void>()
    await using backend = await startBackend(async (peer) => {
      await takeEnvelope(peer)
      await peer.expect(/half of a mess/)
      told()
      assert.equal(await peer.end(), '')
    })
    await using front = await startFront(backend)
    using client = await loggedIn(front)
    await ask(client, ...envelope)
    client.send('half of a mess')
    await half
    client.socket[leave]()
    await front.runtime.idle()
    assert.deepEqual(backend.failures, [])
    assert.equal(front.runtime.eventsOf('internal').length, 0)
  })
}

test('a message that must not go on is not ended, and its client is told so', async () => {
  await using backend = await startBackend(takeMessages)
  await using front = await startFront(backend)
  using client = await loggedIn(front)
  await ask(client, ...envelope)
  client.send('a\r\n\rb\r\n.\r\n')
  assert.match(await reply(client), /^550 5\.5\.2 bare/)
  assert.equal(await client.end(), '')
  await front.runtime.idle()
  assert.doesNotMatch(backend.received, /^\.\r\n/m)
  assert.equal((await front.runtime.waitFor('session.end')).end, 'refused')
})

for (const [what, go] of [
  ['leaves', (peer: Peer) => peer.socket.end()],
  ['resets', (peer: Peer) => peer.socket.resetAndDestroy()],
  ['talks nonsense', (peer: Peer) => peer.send('+OK\r\n')],
] as const) {
  test(`a back-end that ${what} is told of as a temporary failure`, async () => {
    await using backend = await startBackend(async (peer) => {
      await peer.line()
      go(peer)
      await peer.end()
    })
    await using front = await startFront(backend)
    using client = await loggedIn(front)
    client.send('NOOP\r\n')
    assert.match(await reply(client), /^421 4\.3\.0 /)
    assert.equal(await client.end(), '')
    const { end } = await front.runtime.waitFor('session.end')
    assert.match(end, /^backend_/)
    assert.equal(front.runtime.eventsOf('backend').length, what === 'talks nonsense' ? 1 : 0)
  })
}

test('who says nothing, and a shutdown, are ended with a word', async () => {
  await using backend = await startBackend(takeMessages)
  await using front = await startFront(backend, { limits: { session_timeout: '100ms' } })
  using client = await loggedIn(front)
  assert.match(await reply(client), /^421 4\.4\.2 /)
  assert.equal(await client.end(), '')
  assert.equal(front.runtime.eventsOf('refuse')[0]?.reason, 'idle_timeout')

  await using other = await startFront(backend)
  using second = await loggedIn(other)
  for (const session of other.runtime.sessions) session.shutdown()
  assert.match(await reply(second), /^421 4\.3\.2 /)
  assert.equal(await second.end(), '')
  assert.equal((await other.runtime.waitFor('session.end')).end, 'shutdown')
})

for (const check of ['own', 'none']) {
  test(`a kick ends a session with a word when its command is answered (check_sender: ${check})`, async () => {
    const asked = Promise.withResolvers<void>()
    const answered = Promise.withResolvers<void>()
    await using backend = await startBackend(async (peer) => {
      await peer.expect(/^NOOP\r\n/)
      asked.resolve()
      await answered.promise
      peer.send('250 2.0.0 ok\r\n')
      await peer.end()
    })
    await using front = await startFront(backend, { config: [`check_sender: ${check}`] })
    using client = await loggedIn(front)
    client.send('NOOP\r\n')
    await asked.promise
    for (const session of front.runtime.sessions) session.shutdown('kicked')
    answered.resolve()
    await client.expect(/^(?:250 2\.0\.0 ok\r\n)?421 4\.3\.2 .*\r\n/)
    await client.end()
    assert.equal((await front.runtime.waitFor('session.end')).end, 'kicked')
  })
}

test('a back-end that does not take a message stops its client, until it does', async () => {
  const { promise: held, resolve: go } = Promise.withResolvers<void>()
  await using backend = await startBackend(async (peer) => {
    await takeEnvelope(peer)
    peer.socket.pause()
    await held
    peer.socket.resume()
    await peer.message()
    peer.send('250 2.0.0 queued\r\n')
  })
  await using front = await startFront(backend)
  using client = await loggedIn(front)
  await ask(client, ...envelope)
  client.send('Subject: x\r\n\r\n')
  const text = Buffer.from('some text\r\n'.repeat(100_000))
  let taken = 0
  for (let isTaken = true; isTaken && taken < 100; ) {
    isTaken = await new Promise<boolean>((resolve) => {
      const timer = setTimeout(() => resolve(false), 300)
      client.socket.write(text, () => {
        clearTimeout(timer)
        resolve(true)
      })
    })
    taken++
  }
  assert.ok(taken < 100, 'the client was never stopped')
  go()
  client.send('.\r\n')
  assert.match(await reply(client), /^250 2\.0\.0 queued/)
  const message = /Subject: x\r\n\r\n([^]*)$/.exec(backend.received)?.[1]
  assert.equal(message?.length, taken * text.length + '.\r\n'.length)
})

test('a client that asks and never reads is asked for no more', async () => {
  await using backend = await startBackend(takeMessages)
  await using front = await startFront(backend)
  using client = await loggedIn(front)
  client.socket.pause()
  const line = Buffer.from('NOOP\r\n'.repeat(10_000))
  const sent = await client.pour(line, 256)
  assert.ok(sent < 256, 'every command was taken though no answer was read')
})
