import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoginService } from '../../../src/config/config.ts'
import { makeAuthority } from '../../support/certificates.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { authority, certificate, serverTls, trust } = tlsParties()

const protocols = loginWords
const services = loginServices

function startBackend(
  service: LoginService,
  tls = 'none',
  then: (peer: Peer) => Promise<void> = async (peer) => void (await peer.end()),
  surplus = '',
): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    if (tls === 'implicit') await peer.acceptTls(certificate)
    peer.send(protocols[service].backendGreeting)
    if (await serveLogin(peer, { service, certificate, surplus })) await then(peer)
    else await peer.end()
  })
}

function startFront(service: LoginService, options: Partial<FrontEndOptions>): Promise<FrontEnd> {
  return FrontEnd.start({
    service,
    serverTls,
    trust,
    backendName: 'fritz.example.com',
    ...options,
  })
}

const verdict = { user: 'x@example.com', code: 550, status: '5.1.6', text: 'moved' }
const rejected = { result: 'reject', ...verdict } as const
const deferred = { result: 'defer', ...verdict } as const

const verified = () => ({ ca: authority.ca, servername: 'mx1.example.com' })

for (const service of services) {
  const words = protocols[service]

  for (const clientTls of ['none', 'starttls', 'implicit'] as const) {
    for (const backendTls of ['none', 'starttls', 'implicit'] as const) {
      test(`${service}: a login joins (client ${clientTls}, back-end ${backendTls})`, async () => {
        await using backend = await startBackend(service, backendTls, async (peer) => {
          await peer.expect(/^x NOOP\r\n/)
          peer.send('x OK\r\n')
          peer.socket.end()
        })
        await using front = await startFront(service, {
          tls: clientTls,
          backendPort: backend.port,
          backendTls,
          cleartext: clientTls === 'none',
        })
        using client = await front.connect()
        if (clientTls === 'implicit') await client.startTls(verified())
        await client.expect(words.greeting)
        if (clientTls === 'starttls') {
          client.send(words.startTls)
          await client.expect(words.go)
          await client.startTls(verified())
          await client.expect(words.afterTls)
        }
        client.send(words.logIn('ann@example.com', 'secret'))
        await client.expect(words.accepted)
        client.send('x NOOP\r\n')
        await client.expect(/^x OK\r\n/)
        await client.end()
        const { duration_ms: _, ...fields } = await front.runtime.waitFor('session.end')
        assert.equal(fields.end, 'backend_closed')
        assert.deepEqual([fields.user, fields.backend], ['ann@example.com', 'fritz'])
        assert.equal(fields.tls, clientTls === 'none' ? '' : 'TLSv1.3')
        assert(fields.bytes_in > 20 && fields.bytes_out > 20)
        assert.deepEqual(backend.failures, [])
        assert.deepEqual(front.runtime.eventsOf('refuse'), [])
        assert.equal(front.runtime.current.map.asked[0]?.direction, 'retrieval')
      })
    }
  }

  test(`${service}: what is pipelined is delivered once, wherever it is cut`, async () => {
    const login = words.logIn('ann', 'secret')
    const bytes = `${login}x SELECT INBOX\r\ny APPEND {3+}\r\nabc\r\n`
    const rest = bytes.slice(login.length)
    await using backend = await startBackend(
      service,
      'none',
      async (peer) => {
        await peer.expect(/abc\r\n/)
        peer.send('y OK\r\n')
        peer.socket.end()
      },
      '* surplus\r\n',
    )
    await using front = await startFront(service, { backendPort: backend.port })
    for (let cut = 1; cut < bytes.length; cut++) {
      using client = await front.connect()
      await client.expect(words.greeting)
      client.send(bytes.slice(0, cut))
      // Two segments: the second is sent when the first has been read.
      await new Promise((resolve) => setImmediate(resolve))
      client.send(bytes.slice(cut))
      await client.expect(words.accepted)
      assert.equal(await client.end(), '* surplus\r\ny OK\r\n', `cut at ${cut}`)
      const received = backend.peers[cut - 1]?.received ?? ''
      assert(received.endsWith(rest), `cut at ${cut}: ${received}`)
      assert.equal(received.split('SELECT').length, 2, `cut at ${cut}`)
    }
    assert.deepEqual(backend.failures, [])
  })

  test(`${service}: unknown user, other domain, alias and wrong password are one answer`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, {
      backendPort: backend.port,
      limits: { auth_failure_delay: '150ms' },
      routes: {
        'list@example.com': { result: 'expand', user: 'list@example.com', destinations: [] },
        'gone@example.com': rejected,
      },
    })
    const answers = new Set<string>()
    for (const login of ['ann', 'bob', 'ann@example.org', 'list', 'gone', 'ann*bob', 'a@b@c']) {
      using client = await front.connect()
      await client.expect(words.greeting)
      const startedAt = performance.now()
      client.send(words.logIn(login, 'wrong'))
      const [answer] = await client.expect(words.refused)
      const waitedMs = performance.now() - startedAt
      assert(waitedMs >= 145 && waitedMs < 1000, `${login}: ${waitedMs} ms`)
      answers.add(answer)
    }
    assert.equal(answers.size, 1)
    assert.equal(backend.peers.length, 1)
  })

  test(`${service}: each failure takes twice as long, and the third closes`, async () => {
    await using front = await startFront(service, { limits: { auth_failure_delay: '60ms' } })
    using client = await front.connect()
    await client.expect(words.greeting)
    const startedAt = performance.now()
    client.send(words.logIn('bob', 'x').repeat(100))
    await client.end()
    assert(performance.now() - startedAt >= 60 + 120 + 240 - 5)
    assert.equal(client.received.match(/Authentication failed/g)?.length, 3)
    const reasons = front.runtime.eventsOf('refuse').map(({ reason }) => reason)
    assert.deepEqual(reasons, ['auth_failures'])
    assert.equal((await front.runtime.waitFor('session.end')).end, 'refused')
  })

  test(`${service}: a lookup that fails, or defers, is temporary and asks no back-end`, async () => {
    await using front = await startFront(service, {
      routes: {
        'ann@example.com': { result: 'error', user: 'ann@example.com', reason: 'damaged record' },
        'bob@example.com': deferred,
      },
    })
    for (const login of ['ann', 'bob']) {
      using client = await front.connect()
      await client.expect(words.greeting)
      client.send(words.logIn(login, 'secret'))
      await client.expect(words.unavailable)
    }
    assert.equal(front.runtime.eventsOf('internal').length, 1)
  })

  const brokenBackends = {
    'closes at once': async (peer: Peer) => void peer.socket.destroy(),
    'closes within its greeting': async (peer: Peer) => void peer.socket.end('* O'),
    'closes after its greeting': async (peer: Peer) => void peer.socket.end(words.backendGreeting),
    'closes within its answer to the login': async (peer: Peer) => {
      peer.send(words.backendGreeting)
      await peer.expect(/\r\n/)
      peer.socket.end(words.partOfAnswer)
    },
    'is silent': async (peer: Peer) => void (await peer.end()),
    'greets and is silent': async (peer: Peer) => {
      peer.send(words.backendGreeting)
      await peer.end()
    },
    'greets with garbage': async (peer: Peer) => void peer.send('\x16\x03\x01\0\r\n'),
  }
  for (const [what, script] of Object.entries(brokenBackends)) {
    test(`${service}: a back-end that ${what} makes a login unavailable`, async () => {
      await using backend = await ScriptedBackend.start(script)
      await using front = await startFront(service, {
        backendPort: backend.port,
        limits: { login_timeout: '300ms' },
      })
      using client = await front.connect()
      await client.expect(words.greeting)
      client.send(words.logIn('ann', 'secret'))
      await client.expect(words.unavailable)
      const [event, ...more] = front.runtime.eventsOf('backend')
      assert.deepEqual(more, [])
      assert.equal(event?.backend, 'fritz')
      assert.doesNotMatch(JSON.stringify(front.runtime.events), /secret/)
      await backend.peers[0]?.end()
    })
  }

  test(`${service}: a back-end that is down makes a login unavailable, and a retry may work`, async () => {
    await using front = await startFront(service, {})
    using client = await front.connect()
    await client.expect(words.greeting)
    for (let attempt = 0; attempt < 5; attempt++) {
      client.send(words.logIn('ann', 'secret'))
      await client.expect(words.unavailable)
    }
    const [event] = front.runtime.eventsOf('backend')
    assert.deepEqual([event?.step, event?.reason], ['connect', 'refused'])
  })

  const untrusted = {
    'of another authority': () => makeAuthority('other').issue(['fritz.example.com']),
    'with another name': () => authority.issue(['ingrid.example.com']),
    'that has expired': () => authority.issue(['fritz.example.com'], -1),
  }
  for (const [what, issue] of Object.entries(untrusted)) {
    test(`${service}: a back-end with a certificate ${what} never sees credentials`, async () => {
      const issued = issue()
      await using backend = await ScriptedBackend.start(async (peer) => {
        await peer.acceptTls(issued).catch(() => undefined)
        await peer.end().catch(() => undefined)
      })
      await using front = await startFront(service, {
        backendPort: backend.port,
        backendTls: 'implicit',
      })
      using client = await front.connect()
      await client.expect(words.greeting)
      client.send(words.logIn('ann', 'secret'))
      await client.expect(words.unavailable)
      const [event] = front.runtime.eventsOf('backend')
      assert.deepEqual([event?.step, event?.reason], ['tls', 'cert'])
      assert.equal(backend.received, '')
    })
  }

  test(`${service}: commands behind STARTTLS in clear text end the session`, async () => {
    await using front = await startFront(service, { tls: 'starttls' })
    using client = await front.connect()
    await client.expect(words.greeting)
    client.send(words.startTls + words.logIn('ann', 'secret'))
    await client.expect(words.injected)
    await client.end()
    const reasons = front.runtime.eventsOf('refuse').map(({ reason }) => reason)
    assert.deepEqual(reasons, ['starttls_pipelined'])
  })

  test(`${service}: commands after the go-ahead and before the handshake kill the session`, async () => {
    await using front = await startFront(service, { tls: 'starttls' })
    using client = await front.connect()
    await client.expect(words.greeting)
    client.send(words.startTls)
    await client.expect(words.go)
    client.send(words.logIn('ann', 'secret'))
    assert.doesNotMatch(await client.end(), /OK|NO|ERR/)
    const reasons = front.runtime.eventsOf('refuse').map(({ reason }) => reason)
    assert.deepEqual(reasons, ['tls_handshake'])
    assert.equal((await front.runtime.waitFor('session.end')).end, 'refused')
  })

  test(`${service}: a client that vanishes during a login leaves no connection behind`, async () => {
    const { promise: logging, resolve } = Promise.withResolvers<void>()
    await using backend = await ScriptedBackend.start(async (peer) => {
      peer.send(words.backendGreeting)
      await peer.expect(/\r\n/)
      resolve()
      await peer.end()
    })
    for (const leave of ['end', 'resetAndDestroy'] as const) {
      await using front = await startFront(service, { backendPort: backend.port })
      const client = await front.connect()
      await client.expect(words.greeting)
      client.send(words.logIn('ann', 'secret'))
      await logging
      client.socket[leave]()
      await front.runtime.idle()
      await backend.peers.at(-1)?.end()
      assert.deepEqual(front.runtime.eventsOf('backend'), [])
    }
  })

  test(`${service}: who does not log in in time is told so and closed`, async () => {
    await using front = await startFront(service, { limits: { preauth_timeout: '100ms' } })
    using client = await front.connect()
    await client.expect(words.greeting)
    await client.expect(words.slow)
    await client.end()
    const reasons = front.runtime.eventsOf('refuse').map(({ reason }) => reason)
    assert.deepEqual(reasons, ['preauth_timeout'])
  })

  test(`${service}: a shutdown ends sessions in every stage, each once`, async () => {
    await using backend = await startBackend(service)
    await using silent = await ScriptedBackend.start(async (peer) => void (await peer.end()))
    await using front = await startFront(service, { backendPort: backend.port })
    await using waiting = await startFront(service, { backendPort: silent.port })
    await using secured = await startFront(service, { tls: 'implicit' })
    using joined = await front.connect()
    joined.send(words.logIn('ann', 'secret'))
    await joined.expect(/(?:OK [^]*OK |235 )[^]*Logged in/)
    using fresh = await front.connect()
    await fresh.expect(words.greeting)
    using pending = await waiting.connect()
    pending.send(words.logIn('ann', 'secret'))
    using shaking = await secured.connect()
    while (silent.peers.length === 0 || secured.runtime.sessions.size === 0) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    for (const { runtime } of [front, waiting, secured]) {
      for (const session of runtime.sessions) session.shutdown()
    }
    for (const client of [joined, fresh, pending, shaking]) await client.end()
    const ends = [front, waiting, secured].flatMap(({ runtime }) =>
      runtime.eventsOf('session.end').map(({ end }) => end),
    )
    for (const { runtime } of [front, waiting, secured]) await runtime.idle()
    assert.deepEqual(new Set(ends), new Set(['shutdown']))
    await silent.peers[0]?.end()
  })
}

test('imap: a surplus after STARTTLS of the back-end is an injection', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(protocols.imap.backendGreeting)
    const [tag] = (await peer.line()).split(' ')
    peer.send(`${tag} OK go\r\nB OK logged in\r\n`)
    await peer.end()
  })
  await using front = await startFront('imap', {
    backendPort: backend.port,
    backendTls: 'starttls',
  })
  using client = await front.connect()
  client.send('b LOGIN ann secret\r\n')
  await client.expect(/b NO \[UNAVAILABLE\]/)
  const [event] = front.runtime.eventsOf('backend')
  assert.equal(event?.reason, 'starttls_surplus')
  assert.doesNotMatch(backend.received, /secret/)
})

test('imap: a login that has passed seven proxies ends, and the one before passes on that it is near', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 ID] fritz ready\r\n')
    await peer.expect(/^I ID \(.*"x-proxy-ttl" "1"\)\r\n/)
    peer.send('I OK\r\n')
    await serveLogin(peer, { service: 'imap', certificate })
  })
  await using front = await startFront('imap', {
    backendPort: backend.port,
    backendLines: ['client_address: id'],
  })
  for (const [ttl, answer] of [
    [2, /^b OK .*\r\n/],
    [1, /^b NO \[UNAVAILABLE\] .*\r\n/],
  ] as const) {
    using client = await front.connect()
    await client.expect(/^\* OK .*\r\n/)
    client.send(`a ID ("x-proxy-ttl" "${ttl}")\r\n`)
    await client.expect(/^\* ID .*\r\na OK .*\r\n/)
    client.send('b LOGIN ann@example.com secret\r\n')
    await client.expect(answer)
  }
  assert.equal(front.runtime.eventsOf('refuse')[0]?.reason, 'loop')
})

test('imap: a client that asks and never reads is asked for no more', async () => {
  await using front = await startFront('imap', {})
  using client = await front.connect()
  client.socket.pause()
  const line = Buffer.from('a CAPABILITY\r\n'.repeat(5000))
  const sent = await client.pour(line, 256)
  assert(sent < 256, 'every command was taken though no answer was read')
})
