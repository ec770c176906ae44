/** Users who are frozen, and sessions that are ended, as mail programs see it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { limits } from '../../src/base/limit.ts'
import { raiseBarrier } from '../../src/daemon/barrier.ts'
import type { FreezeAck } from '../../src/daemon/channel.ts'
import { endSessions, listSessions } from '../../src/daemon/session-list.ts'
import { FrontEnd, type FrontEndOptions } from '../support/front-end.ts'
import { serveLogin, sieveCapabilities } from '../support/login-backend.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { routeTo } from '../support/test-runtime.ts'

const ann = 'ann@example.com'
const protocols = {
  imap: {
    greeting: '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n',
    logIn: (login: string) => `b LOGIN ${login} secret\r\n`,
    accepted: /b OK .*\r\n/,
    unavailable: /b NO \[UNAVAILABLE\] .*\r\n/,
    farewell: /^\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/,
  },
  pop3: {
    greeting: '+OK ready\r\n',
    logIn: (login: string) => `USER ${login}\r\nPASS secret\r\n`,
    accepted: /\+OK\r\n\+OK.*\r\n/,
    unavailable: /-ERR \[SYS\/TEMP\] .*\r\n/,
    farewell: /^-ERR \[SYS\/TEMP\] [^\r]*\r\n$/,
  },
  sieve: {
    greeting: sieveCapabilities,
    logIn: (login: string) => {
      const message = Buffer.from(`\0${login}\0secret`).toString('base64')
      return `AUTHENTICATE "PLAIN" "${message}"\r\n`
    },
    accepted: /OK ".*ogged in.*\r\n/,
    unavailable: /NO \(TRYLATER\) ".*"\r\n/,
    farewell: /^BYE \(TRYLATER\) "[^\r]*"\r\n$/,
  },
} as const
type Service = keyof typeof protocols
const services = ['imap', 'pop3', 'sieve'] as const
const certificate = { cert: '', key: '' }

/** A back-end that takes logins, and then does as it is told. */
function startBackend(
  service: Service,
  then: (peer: Peer) => Promise<void> = async (peer) => void (await peer.end()),
): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send(protocols[service].greeting)
    if (await serveLogin(peer, { service, certificate })) await then(peer)
    else await peer.end()
  })
}

function startFront(
  service: Service,
  backend: ScriptedBackend,
  more: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  const routes = {
    [ann]: routeTo('fritz', ann),
    // The same mailbox under another name.
    'ann.smith@example.com': routeTo('fritz', 'ann.smith@example.com', 'ann'),
    'bob@example.com': routeTo('fritz', 'bob@example.com'),
  }
  return FrontEnd.start({ service, backendPort: backend.port, routes, ...more })
}

async function loggingIn(front: FrontEnd, service: Service, login = 'ann'): Promise<Peer> {
  const client = await front.connect()
  client.send(protocols[service].logIn(login))
  return client
}

async function loggedIn(front: FrontEnd, service: Service, login = 'ann'): Promise<Peer> {
  const client = await loggingIn(front, service, login)
  await client.expect(protocols[service].accepted)
  return client
}

/** Returns when the first connections to a back-end, so many, have been closed. */
async function gone(backend: ScriptedBackend, count: number): Promise<void> {
  for (const { socket } of backend.peers.slice(0, count)) {
    if (!socket.closed) await once(socket, 'close')
  }
}

/** Returns when so many logins are held. */
async function held(front: FrontEnd, count: number): Promise<void> {
  const deadline = AbortSignal.timeout(10_000)
  while (front.runtime.freezes.held < count) {
    deadline.throwIfAborted()
    await new Promise((resolve) => setImmediate(resolve))
  }
}

function freeze({ runtime }: FrontEnd, user = ann, patienceMs?: number): Promise<FreezeAck> {
  const frozen = runtime.freezes.add({ user, epoch: 1, ttlMs: 60_000 })
  return raiseBarrier(frozen, { sessions: runtime.sessions, deliveries: [] }, patienceMs)
}

for (const service of services) {
  const words = protocols[service]

  test(`${service}: a login of a frozen user waits, and goes to the new home`, async () => {
    await using fritz = await startBackend(service)
    await using ingrid = await startBackend(service, async (peer) => {
      await peer.expect(/^x ahead\r\n/)
      peer.send('x from ingrid\r\n')
      await peer.end()
    })
    await using front = await startFront(service, fritz, { secondPort: ingrid.port })
    assert.deepEqual(await freeze(front), { complete: true, sessions: 0, deliveries: 0 })
    using client = await loggingIn(front, service)
    client.send('x ahead\r\n')
    using smith = await loggingIn(front, service, 'ann.smith@example.com')
    using bob = await loggedIn(front, service, 'bob')
    await held(front, 2)
    const [first] = listSessions(front.runtime.sessions, { filter: {}, after: 0, limit: 1 })
    assert.deepEqual([first?.state, first?.user, first?.backend], ['held', ann, undefined])
    front.runtime.replaceRoutes({
      [ann]: routeTo('ingrid', ann),
      'ann.smith@example.com': routeTo('ingrid', 'ann.smith@example.com', 'ann'),
    })
    front.runtime.freezes.thaw(ann, 1)
    await client.expect(words.accepted)
    await client.expect(/x from ingrid\r\n/)
    await smith.expect(words.accepted)
    assert.equal(fritz.peers.length, 1, 'bob alone went to the old one')
    assert.equal(ingrid.peers.length, 2)
    const waits = front.runtime.eventsOf('login.held')
    assert.deepEqual(
      waits.map(({ user, outcome }) => [user, outcome]),
      [
        [ann, 'thawed'],
        [ann, 'thawed'],
      ],
    )
    assert.equal(front.runtime.freezes.held, 0)
    assert.equal(bob.closed, false)
  })

  test(`${service}: who waits in vain is told to come again, and may`, async () => {
    await using fritz = await startBackend(service)
    await using front = await startFront(service, fritz, { config: ['move: {hold: 50ms}'] })
    await freeze(front)
    using client = await loggingIn(front, service)
    await client.expect(words.unavailable)
    front.runtime.freezes.thaw(ann, 1)
    client.send(words.logIn('ann'))
    await client.expect(words.accepted)
    assert.deepEqual(
      front.runtime.eventsOf('login.held').map(({ outcome }) => outcome),
      ['in_vain'],
    )
  })

  test(`${service}: a freeze ends the user's sessions between two responses`, async () => {
    await using fritz = await startBackend(service)
    await using front = await startFront(service, fritz)
    using client = await loggedIn(front, service)
    using smith = await loggedIn(front, service, 'ann.smith@example.com')
    using bob = await loggedIn(front, service, 'bob')
    assert.deepEqual(await freeze(front), { complete: true, sessions: 2, deliveries: 0 })
    await gone(fritz, 2)
    for (const one of [client, smith]) assert.match(await one.end(), words.farewell)
    assert.equal(bob.closed, false)
    await front.runtime.waitFor('session.end', 2)
    const ends = front.runtime.eventsOf('session.end').map(({ user, end }) => [user, end])
    assert.deepEqual(
      new Set(ends.map((one) => one.join(' '))),
      new Set([`${ann} kicked`, 'ann.smith@example.com kicked']),
    )
  })
}

test('a login that is under way when its user is frozen is taken back, and waits', async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  let isFirst = true
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send(protocols.imap.greeting)
    if (isFirst) {
      isFirst = false
      await peer.expect(/\r\n/)
      resolve()
      await peer.end()
    } else if (await serveLogin(peer, { service: 'imap', certificate })) await peer.end()
  })
  await using front = await startFront('imap', fritz)
  using client = await loggingIn(front, 'imap')
  await asked
  assert.deepEqual(await freeze(front), { complete: true, sessions: 1, deliveries: 0 })
  await gone(fritz, 1)
  await held(front, 1)
  front.runtime.freezes.thaw(ann, 1)
  await client.expect(protocols.imap.accepted)
  assert.equal(fritz.peers.length, 2)
})

test('a freeze ends by itself where nobody ends it, and a newer one stays', async () => {
  await using fritz = await startBackend('imap')
  await using front = await startFront('imap', fritz)
  const { freezes } = front.runtime
  freezes.add({ user: ann, epoch: 1, ttlMs: 60_000 })
  freezes.add({ user: ann, epoch: 2, ttlMs: 80 })
  using client = await loggingIn(front, 'imap')
  await held(front, 1)
  freezes.thaw(ann, 1)
  assert.equal(freezes.held, 1)
  await client.expect(protocols.imap.accepted)
  const [waited] = front.runtime.eventsOf('login.held')
  assert.equal(waited?.outcome, 'thawed')
})

test('the time to log in does not run while a login is held', async () => {
  await using fritz = await startBackend('imap')
  await using front = await startFront('imap', fritz, {
    limits: { preauth_timeout: '100ms' },
    config: ['move: {hold: 450ms}'],
  })
  await freeze(front)
  using client = await loggingIn(front, 'imap')
  await client.expect(protocols.imap.unavailable)
  await client.expect(/^\* BYE Too slow/)
})

test('a freeze that is given up while it waits leaves those alone who come after it', async () => {
  let isFirst = true
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send(protocols.imap.greeting)
    const isSlow = isFirst
    isFirst = false
    if (isSlow) {
      await peer.expect(/\r\n/)
      resolve()
    } else await serveLogin(peer, { service: 'imap', certificate })
    await peer.end()
  })
  await using front = await startFront('imap', fritz)
  using client = await loggingIn(front, 'imap')
  await asked
  // Something else has still to end.
  const stuck = { concerns: () => true, yieldTo: () => undefined }
  const frozen = front.runtime.freezes.add({ user: ann, epoch: 1, ttlMs: 60_000 })
  const { sessions } = front.runtime
  const waiting = raiseBarrier(frozen, { sessions, deliveries: [stuck] }, 10_000)
  await held(front, 1)
  front.runtime.freezes.thaw(ann, 1)
  assert.deepEqual(await waiting, { complete: false, sessions: 1, deliveries: 1 })
  await client.expect(protocols.imap.accepted)
  assert.equal(client.closed, false)
})

test('a client that leaves while it is held leaves nothing behind', async () => {
  await using fritz = await startBackend('imap')
  await using front = await startFront('imap', fritz)
  await freeze(front)
  using client = await loggingIn(front, 'imap')
  await held(front, 1)
  client.socket.destroy()
  for (const session of front.runtime.sessions) session.shutdown()
  await front.runtime.idle()
  assert.equal(front.runtime.freezes.held, 0)
  assert.equal((await front.runtime.waitFor('login.held')).outcome, 'gone')
  front.runtime.freezes.thaw(ann, 1)
  assert.deepEqual(fritz.peers, [])
})

test('no more logins are held than there is room for, and none by a crowded worker', async () => {
  await using fritz = await startBackend('imap')
  await using front = await startFront('imap', fritz)
  await freeze(front)
  front.runtime.freezes.held = limits.heldLogins
  using client = await loggingIn(front, 'imap')
  await client.expect(protocols.imap.unavailable)
  front.runtime.freezes.held = 0
  front.runtime.isCrowded = true
  client.send(protocols.imap.logIn('ann'))
  await client.expect(protocols.imap.unavailable)
  assert.deepEqual(front.runtime.eventsOf('login.held'), [])
})

test('imap: within a literal nothing is said, and the end of the response is waited for', async () => {
  const { promise: mayGoOn, resolve: goOn } = Promise.withResolvers<void>()
  const { promise: mayEnd, resolve: end } = Promise.withResolvers<void>()
  await using fritz = await startBackend('imap', async (peer) => {
    peer.send('* 1 FETCH (BODY[] {12}\r\nline\r\n')
    await mayGoOn
    peer.send('more\r\n)\r\n* 2 FETCH (BODY[] {5}\r\nab')
    await mayEnd
    peer.send('cde)\r\n')
    await peer.end()
  })
  await using front = await startFront('imap', fritz)
  using client = await loggedIn(front, 'imap')
  await client.expect(/line\r\n/)
  const kicked = endSessions(front.runtime.sessions, { user: ann })
  assert.equal(client.unread, '')
  goOn()
  // The end of the first response came in one piece with the begin of the next.
  await client.expect(/^more\r\n\)\r\n\* 2 FETCH \(BODY\[\] \{5\}\r\nab$/)
  end()
  assert.match(await client.end(), /^cde\)\r\n\* BYE \[UNAVAILABLE\] [^\r]*\r\n$/)
  assert.equal(await kicked, 1)
  assert.equal((await front.runtime.waitFor('session.end')).end, 'kicked')
})

const responses = fc.array(
  fc.record({
    text: fc.string({ unit: fc.constantFrom('a', '}', '{', '3', ' '), maxLength: 30 }),
    octets: fc.string({ unit: fc.constantFrom('\r', '\n', '}', '* BYE'), maxLength: 40 }),
  }),
  { minLength: 1, maxLength: 8 },
)
const cuts = fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 12 })

test('imap: whenever a session is ended, its farewell stands between two responses', async () => {
  let play: ((peer: Peer) => Promise<void>) | undefined
  await using fritz = await startBackend('imap', async (peer) => play?.(peer))
  await using front = await startFront('imap', fritz)
  let farewells = 0
  const run = fc.asyncProperty(responses, cuts, fc.nat(30), async (list, sizes, turn) => {
    const ends = new Set([0])
    let stream = ''
    for (const { text, octets } of list) {
      ends.add((stream += `* ${text}{${octets.length}}\r\n${octets})\r\n`).length)
    }
    play = async (peer) => {
      for (let at = 0, n = 0; at < stream.length; n++) {
        const size = sizes[n % sizes.length] ?? 1
        peer.send(stream.slice(at, at + size))
        at += size
        await new Promise(setImmediate)
      }
      await peer.end()
    }
    using client = await loggedIn(front, 'imap')
    for (let n = 0; n < turn; n++) await new Promise(setImmediate)
    const [, heard = '', farewell] =
      /^([^]*?)(\* BYE \[UNAVAILABLE\] [ -~]+\r\n)?$/.exec(await ended(front, client)) ?? []
    assert.ok(stream.startsWith(heard))
    if (farewell === undefined) return
    farewells++
    assert.ok(ends.has(heard.length), JSON.stringify(heard))
  })
  await fc.assert(run, { numRuns: 60 })
  assert.ok(farewells >= 55, `${farewells}`)
})

/** What a client hears until the end of the session, which is asked for now. */
async function ended(front: FrontEnd, client: Peer): Promise<string> {
  const [rest] = await Promise.all([
    client.end(),
    endSessions(front.runtime.sessions, { user: ann }),
  ])
  return rest
}

test('imap: who stays within a literal is cut off after a time, without a word', async () => {
  await using fritz = await startBackend('imap', async (peer) => {
    peer.send('* 1 FETCH (BODY[] {9999}\r\na OK done\r\n')
    await peer.end()
  })
  await using front = await startFront('imap', fritz)
  using client = await loggedIn(front, 'imap')
  await client.expect(/done\r\n/)
  assert.deepEqual(await freeze(front), { complete: true, sessions: 1, deliveries: 0 })
  assert.equal(await client.end(), '')
  assert.equal((await front.runtime.waitFor('session.end')).end, 'kicked')
})

test('pop3: a farewell answers the command that waits; deletions that were asked for are not done', async () => {
  const { promise: asked, resolve } = Promise.withResolvers<void>()
  await using fritz = await startBackend('pop3', async (peer) => {
    await peer.expect(/^DELE 1\r\n/)
    peer.send('+OK\r\n')
    await peer.expect(/^STAT\r\n/)
    resolve()
    await peer.end()
  })
  await using front = await startFront('pop3', fritz)
  using client = await loggedIn(front, 'pop3')
  await client.send('DELE 1\r\n').expect(/^\+OK\r\n/)
  client.send('STAT\r\n')
  await asked
  assert.equal(await endSessions(front.runtime.sessions, { user: ann }), 1)
  assert.match(await client.end(), protocols.pop3.farewell)
  assert.doesNotMatch(fritz.received, /QUIT/)
})

test('a kick is of those who fit, and a client that does not close is closed', async () => {
  await using fritz = await startBackend('imap')
  await using front = await startFront('imap', fritz)
  using near = await loggedIn(front, 'imap')
  using other = await loggedIn(front, 'imap', 'bob')
  near.socket.pause()
  const { sessions } = front.runtime
  assert.equal(await endSessions(sessions, { user: ann, service: 'pop3' }), 0)
  assert.equal(await endSessions(sessions, { user: ann, from: '192.0.2.0/24' }), 0)
  assert.equal(await endSessions(sessions, { user: ann, from: '127.0.0.0/8', service: 'imap' }), 1)
  const left = listSessions(sessions, { filter: {}, after: 0, limit: 10 })
  assert.deepEqual(
    left.map(({ user, login, state }) => [user, login, state]),
    [['bob@example.com', 'bob@example.com', 'joined']],
  )
  assert.ok((left[0]?.bytes_in ?? 0) > 10 && (left[0]?.bytes_out ?? 0) > 10)
  assert.equal(other.closed, false)
})
