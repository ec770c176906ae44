/** Logins in which only client and back-end know the secret: SCRAM and tokens through the proxies. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { raiseBarrier } from '../../../src/daemon/barrier.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import {
  answer,
  base64,
  challenge,
  fromBase64,
  greeted,
  hear,
  hearFirst,
  isQuestion,
  question,
  said,
  saslServices,
  saslWords,
  type SaslService,
  serveScram,
} from '../../support/sasl-login.ts'
import { ScramClient, ScramServer } from '../../support/scram.ts'
import { routeTo } from '../../support/test-runtime.ts'

const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'OAUTHBEARER', 'XOAUTH2']
const login = 'ann@example.com'

function startFront(
  service: SaslService,
  backend: ScriptedBackend,
  options: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  return FrontEnd.start({
    service,
    backendPort: backend.port,
    mechanisms,
    routes: {
      [login]: routeTo('fritz', login),
      'bob@example.com': routeTo('fritz', 'bob@example.com'),
    },
    ...options,
  })
}

function bearerOf(user: string, token = 'tok'): string {
  return `n,a=${user},\x01auth=Bearer ${token}\x01\x01`
}

/** What a server's first word of SCRAM looks like, without what is random in it. */
function shapeOf(text: string, client: ScramClient): string {
  const own = client.first.replace(/^.*,r=/, '')
  const [, nonce = '', salt = '', iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(text) ?? []
  assert.ok(nonce.startsWith(own), text)
  return `${nonce.length - own.length} ${fromBase64(salt).length} ${iterations}`
}

/** The client's nonce alone. */
function nonceOf(first: string): string {
  return first.replace(/^.*,r=/, 'r=')
}

for (const service of saslServices) {
  const words = saslWords[service]

  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-1'] as const) {
    test(`${service}: ${mechanism} logs in, and no one on the way knows the password`, async () => {
      await using backend = await ScriptedBackend.start(async (peer) => {
        assert.ok(await serveScram(peer, service, [mechanism, 'pencil']))
        await peer.expect(/^x rest\r\n/)
        peer.send('done\r\n')
      })
      await using front = await startFront(service, backend)
      using client = await greeted(await front.connect(), service)
      const scram = new ScramClient(mechanism, login, 'pencil')
      client.send(words.start(mechanism, scram.first))
      client.send(answer(service, base64(scram.answer(await challenge(client)))))
      assert.ok(scram.trusts(await challenge(client)))
      client.send(`${answer(service, '')}x rest\r\n`)
      await client.expect(words.accepted)
      await client.expect(/^done\r\n/)
      assert.deepEqual(backend.failures, [])
      assert.deepEqual(front.runtime.eventsOf('backend'), [])
      const [session] = front.runtime.sessions
      assert.deepEqual([session?.user, session?.backend], [login, 'fritz'])
    })
  }

  test(`${service}: after a wrong proof the client is where it was`, async () => {
    await using backend = await ScriptedBackend.start(async (peer, number) => {
      assert.equal(await serveScram(peer, service, ['SCRAM-SHA-1', 'pencil']), number === 1)
    })
    await using front = await startFront(service, backend)
    using client = await greeted(await front.connect(), service)
    for (const password of ['eraser', 'pencil']) {
      const scram = new ScramClient('SCRAM-SHA-1', login, password)
      client.send(words.start('SCRAM-SHA-1', scram.first))
      client.send(answer(service, base64(scram.answer(await challenge(client)))))
      if (password === 'eraser') await client.expect(words.refused)
    }
    await challenge(client)
    client.send(answer(service, ''))
    await client.expect(words.accepted)
    assert.deepEqual(backend.failures, [])
  })

  test(`${service}: an exchange waits for a thaw before it begins, and is given up later`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      await serveScram(peer, service, ['SCRAM-SHA-256', 'pencil'])
    })
    await using front = await startFront(service, backend)
    const { freezes, sessions } = front.runtime
    const notice = { user: login, epoch: 1, ttlMs: 60_000 }
    const frozen = freezes.add(notice)
    using client = await greeted(await front.connect(), service)
    const scram = new ScramClient('SCRAM-SHA-256', login, 'pencil')
    client.send(words.start('SCRAM-SHA-256', scram.first))
    while (freezes.held === 0) await new Promise(setImmediate)
    freezes.thaw(login, 1)
    const said = await challenge(client)
    const again = freezes.add({ ...notice, epoch: 2 })
    const ack = await raiseBarrier(again, { sessions, deliveries: [] })
    assert.deepEqual(ack, { complete: true, sessions: 1, deliveries: 0 })
    // A line of the exchange is due: the end is told after it.
    client.send(answer(service, base64(scram.answer(said))))
    await client.expect(words.unavailable)
    assert.equal(freezes.held, 0)
    assert.notEqual(frozen, again)
    freezes.thaw(login, 2)
    const last = new ScramClient('SCRAM-SHA-256', login, 'pencil')
    client.send(words.start('SCRAM-SHA-256', last.first))
    client.send(answer(service, base64(last.answer(await challenge(client)))))
    assert.ok(last.trusts(await challenge(client)))
    client.send(answer(service, ''))
    await client.expect(words.accepted)
  })

  test(`${service}: no step of SCRAM tells who exists`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      // Bob has no secret there that SCRAM could be checked by: Dovecot says so at once.
      const first = await hearFirst(peer, service)
      const server = new ScramServer('SCRAM-SHA-256', 'pencil')
      if (first.includes('n=bob')) peer.send(words.no)
      else {
        peer.send(said(service, server.answer(first)))
        await hear(peer, service)
        peer.send(words.no)
      }
    })
    await using front = await startFront(service, backend)
    const heard = new Map<string, string>()
    const salts = new Map<string, string>()
    for (const user of [
      login,
      'bob@example.com',
      'nobody@example.com',
      'NOBODY',
      'a@example.org',
    ]) {
      using client = await greeted(await front.connect(), service)
      const scram = new ScramClient('SCRAM-SHA-256', user, 'guess')
      client.send(words.start('SCRAM-SHA-256', scram.first))
      const first = await challenge(client)
      client.send(answer(service, base64(scram.answer(first))))
      const [line] = await client.expect(/^.*\r\n/)
      assert.match(line, words.refused)
      heard.set(user, `${shapeOf(first, scram)} ${line}`)
      salts.set(user, /,s=([^,]+)/.exec(first)?.[1] ?? '')
    }
    assert.equal(new Set(heard.values()).size, 1, JSON.stringify([...heard]))
    assert.equal(salts.get('nobody@example.com'), salts.get('NOBODY'))
    assert.equal(new Set(salts.values()).size, 4, 'each has a salt, in whatever way it is written')
    assert.deepEqual(front.runtime.eventsOf('backend'), [])
  })

  test(`${service}: who has another name at the back-end cannot use SCRAM, and hears nothing else`, async () => {
    await using backend = await ScriptedBackend.start(() => Promise.resolve())
    const routes = { [login]: routeTo('fritz', login, 'ann.b@example.com') }
    await using front = await startFront(service, backend, { routes })
    using client = await greeted(await front.connect(), service)
    const scram = new ScramClient('SCRAM-SHA-256', login, 'pencil')
    client.send(words.start('SCRAM-SHA-256', scram.first))
    client.send(answer(service, base64(scram.answer(await challenge(client)))))
    await client.expect(words.refused)
    assert.equal(backend.received, '')
    assert.equal(front.runtime.eventsOf('backend')[0]?.reason, 'no_mechanism')
    const counted = Object.keys(front.runtime.counters.snapshot())
    assert.ok(!counted.some((name) => name.startsWith('backend_login')), 'it was not asked')
  })

  for (const [mechanism, message] of [
    ['OAUTHBEARER', bearerOf],
    ['XOAUTH2', (user: string, token = 'tok') => `user=${user}\x01auth=Bearer ${token}\x01\x01`],
  ] as const) {
    test(`${service}: ${mechanism} brings the token to the back-end, and its error to the client`, async () => {
      const error = '{"status":"invalid_token","scope":"mail"}'
      const heard: string[] = []
      await using backend = await ScriptedBackend.start(async (peer) => {
        const first = await hearFirst(peer, service)
        heard.push(first)
        if (first.includes('good')) peer.send(words.ok)
        else {
          peer.send(said(service, error))
          heard.push(base64(await hear(peer, service)))
          peer.send(words.no)
        }
      })
      const routes = { [login]: routeTo('fritz', login, 'ann.b') }
      await using front = await startFront(service, backend, { routes })
      using client = await greeted(await front.connect(), service)
      for (const user of [login, 'nobody@example.com']) {
        client.send(words.start(mechanism, message(user)))
        assert.equal(await challenge(client), error, user)
        client.send(answer(service, 'AQ=='))
        await client.expect(words.refused)
      }
      const token = `good${'x'.repeat(3000)}==`
      // Too long for the line of the command.
      client.send(words.begin(mechanism))
      assert.equal(await challenge(client), '')
      client.send(answer(service, base64(message(login, token))))
      await client.expect(words.accepted)
      assert.deepEqual(heard, [message('ann.b'), 'AQ==', message('ann.b', token)])
      assert.deepEqual(backend.failures, [])
      const log = JSON.stringify(front.runtime.events)
      assert.doesNotMatch(log, /good|tok/)
    })
  }

  test(`${service}: the reason why a token fails waits for the brake`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      await hearFirst(peer, service)
      peer.send(said(service, '{}'))
      await hear(peer, service)
      peer.send(words.no)
    })
    await using front = await startFront(service, backend, {
      limits: { auth_failure_delay: '80ms' },
    })
    using client = await greeted(await front.connect(), service)
    const startedAt = performance.now()
    client.send(words.start('OAUTHBEARER', bearerOf(login)))
    await challenge(client)
    // A timer is early by what the loop has been busy when it was set.
    assert.ok(performance.now() - startedAt >= 70)
    client.send(answer(service, '*'))
    await client.expect(words.cancelled)
    const againAt = performance.now()
    client.send(words.start('OAUTHBEARER', bearerOf(login)))
    await challenge(client)
    assert.ok(performance.now() - againAt >= 140, 'giving up after it has counted as a failure')
  })

  /** How a back-end can go wrong, once it has heard the first message. */
  const faults: Readonly<Record<string, (peer: Peer, first: string) => unknown>> = {
    'accepts at once': (peer) => peer.send(words.ok),
    'says a nonce of its own': (peer) => peer.send(said(service, 'r=x,s=AAAA,i=4096')),
    'repeats the nonce': (peer, first) => peer.send(said(service, nonceOf(first))),
    'says what is no base64': (peer) => peer.send(question(service, '?')),
    'says nothing': (peer) => peer.send(said(service, '')),
    'signs at once': (peer) => peer.send(said(service, 'v=AAAA')),
    'never ends its line': (peer) => peer.send(question(service, 'A'.repeat(10_000)).trimEnd()),
    'closes at once': (peer) => peer.socket.destroy(),
    resets: (peer) => peer.socket.resetAndDestroy(),
    // The wait is the same for both.
    ...(service === 'imap' ? { 'is silent': (peer: Peer) => peer.end() } : {}),
  }
  /** The same, after it has heard the client's proof. */
  const lateFaults: typeof faults = {
    'accepts without signing': (peer) => peer.send(words.ok),
    'begins anew': (peer, first) => peer.send(said(service, nonceOf(`${first}X`))),
    'says another thing': (peer) => peer.send(said(service, 'x=1')),
    'signs twice': (peer) => peer.send(said(service, 'v=AAAA').repeat(2)),
    'signs and accepts at once': (peer) => peer.send(said(service, 'v=AAAA') + words.ok),
    closes: (peer) => peer.socket.destroy(),
  }

  for (const isLate of [false, true]) {
    for (const [what, go] of Object.entries(isLate ? lateFaults : faults)) {
      test(`${service}: a back-end that ${what}${isLate ? ' at the end' : ''} is not available`, async () => {
        await using backend = await ScriptedBackend.start(async (peer) => {
          const first = await hearFirst(peer, service)
          if (isLate) {
            peer.send(said(service, new ScramServer('SCRAM-SHA-1', 'x').answer(first)))
            await hear(peer, service)
          }
          await go(peer, first)
        })
        await using front = await startFront(service, backend, { limits: { login_timeout: '1s' } })
        using client = await greeted(await front.connect(), service)
        const scram = new ScramClient('SCRAM-SHA-1', login, 'x')
        client.send(words.start('SCRAM-SHA-1', scram.first))
        if (isLate) client.send(answer(service, base64(scram.answer(await challenge(client)))))
        const [line] = await client.expect(/^.*\r\n/)
        // What was said before it went wrong may be there; the end comes when the client has answered.
        if (isQuestion(line)) client.send(answer(service, ''))
        if (isQuestion(line)) await client.expect(words.unavailable)
        else assert.match(line, words.unavailable)
        client.send(words.noop)
        await client.expect(words.done)
        assert.equal(front.runtime.eventsOf('backend').length, 1)
        assert.deepEqual(front.runtime.eventsOf('refuse'), [])
      })
    }
  }

  test(`${service}: a back-end that is gone while the client thinks is told after the client's answer`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      const first = await hearFirst(peer, service)
      peer.send(said(service, new ScramServer('SCRAM-SHA-1', 'x').answer(first)))
    })
    await using front = await startFront(service, backend)
    using client = await greeted(await front.connect(), service)
    const scram = new ScramClient('SCRAM-SHA-1', login, 'x')
    client.send(words.start('SCRAM-SHA-1', scram.first))
    const first = await challenge(client)
    backend.peers[0]?.socket.end()
    await front.runtime.waitFor('backend')
    client.send(answer(service, base64(scram.answer(first))))
    await client.expect(words.unavailable)
  })

  test(`${service}: clients that leave at any step leave nothing behind`, async () => {
    await using backend = await ScriptedBackend.start((peer) =>
      serveScram(peer, service, ['SCRAM-SHA-1', 'pencil']).then(
        () => undefined,
        () => undefined,
      ),
    )
    await using front = await startFront(service, backend)
    for (let steps = 0; steps < 40; steps++) {
      using client = await greeted(await front.connect(), service)
      const scram = new ScramClient('SCRAM-SHA-1', login, 'pencil')
      client.send(words.start('SCRAM-SHA-1', scram.first))
      if (steps % 4 > 0) client.send(answer(service, base64(scram.answer(await challenge(client)))))
      if (steps % 4 > 1) await challenge(client)
      if (steps % 8 > 4) client.socket.resetAndDestroy()
    }
    await front.runtime.idle()
    for (const { closed, socket } of backend.peers) if (!closed) await once(socket, 'close')
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
  })
}
