/** Clients that mean harm until they are logged in, over real sockets and TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import type { LoginService } from '../../../src/config/config.ts'
import { FrontEnd, type FrontEndOptions } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { routeTo } from '../../support/test-runtime.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { authority, certificate, serverTls } = tlsParties()
const verified = () => ({ ca: authority.ca, servername: 'mx1.example.com' })

function startBackend(
  service: LoginService,
  then: (peer: Peer) => Promise<unknown> = (peer) => peer.end(),
): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    peer.send(loginWords[service].backendGreeting)
    if (await serveLogin(peer, { service, certificate })) await then(peer)
    else await peer.end()
  })
}

function startFront(
  service: LoginService,
  options: Partial<FrontEndOptions> = {},
): Promise<FrontEnd> {
  return FrontEnd.start({ service, serverTls, ...options })
}

async function greeted(front: FrontEnd, service: LoginService): Promise<Peer> {
  const client = await front.connect()
  await client.expect(loginWords[service].greeting)
  return client
}

function reasonsOf(front: FrontEnd): string[] {
  return front.runtime.eventsOf('refuse').map(({ reason }) => reason)
}

/** A login by PLAIN, in which any octets may be. */
const byPlain = {
  imap: (message: string) => `b AUTHENTICATE PLAIN ${message}\r\n`,
  pop3: (message: string) => `AUTH PLAIN ${message}\r\n`,
  sieve: (message: string) => `AUTHENTICATE "PLAIN" {${message.length}+}\r\n${message}\r\n`,
  submission: (message: string) => `AUTH PLAIN ${message}\r\n`,
} as const
const failed = {
  imap: /^b NO \[AUTHENTICATIONFAILED\] Authentication failed\.\r\n/,
  pop3: /^-ERR \[AUTH\] Authentication failed\.\r\n/,
  sieve: /^NO "Authentication failed\."\r\n/,
  submission: /^535 5\.7\.8 Authentication failed\.\r\n/,
} as const

function plain(login: string, password: string): string {
  return Buffer.from(`\0${login}\0${password}`).toString('base64')
}

/** Names that are code, files, queries or parts of an object elsewhere, and nobody's here. */
const names = [
  '__proto__',
  'constructor',
  'hasOwnProperty@example.com',
  'toString@__proto__',
  '../../etc/passwd',
  "'OR'1'='1'--",
  '*)(uid=*',
  '%n%s%{user}',
  '$(id)',
  'ann%admin@x',
  'ann@example.com@example.com',
  '@example.com',
  'ann@',
  'a'.repeat(257),
  'a'.repeat(8000),
  'ann\u202e',
  'ａｎｎ',
  'ann\u0000x',
  'ann\r\nQUIT',
  '\x1b[2Jann',
]

for (const service of loginServices) {
  const words = loginWords[service]

  test(`${service}: octets between the go-ahead and the handshake end it, whenever they come`, async () => {
    await using front = await startFront(service, { tls: 'starttls' })
    for (const waitMs of [0, 1, 10, 100]) {
      using client = await greeted(front, service)
      client.send(words.startTls)
      await client.expect(words.go)
      await pass(waitMs)
      client.send(words.logIn('ann', 'secret'))
      assert.doesNotMatch(await client.end(), /OK|NO|ERR|535/, `${waitMs} ms`)
    }
    await front.runtime.waitFor('session.end', 4)
    assert.deepEqual(new Set(reasonsOf(front)), new Set(['tls_handshake']))
    assert.equal(reasonsOf(front).length, 4)
  })

  test(`${service}: what is sent ahead of a handshake while a login fails is not read after it`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, { tls: 'starttls', backendPort: backend.port })
    using client = await greeted(front, service)
    client.send(words.logIn('ann', 'wrong'))
    await backend.peerNumber(0)
    // In segments of their own, which wait in the stream.
    for (const text of [words.startTls, words.logIn('ann', 'secret')]) {
      client.send(text)
      await new Promise((resolve) => setImmediate(resolve))
    }
    const rest = await client.end()
    assert.match(rest, /Authentication failed/)
    assert.doesNotMatch(rest, /Logged in/)
    assert.equal(backend.peers.length, 1)
    assert.match(String(reasonsOf(front)), /^(?:starttls_pipelined|tls_handshake)$/)
  })

  test(`${service}: after the end of TLS nothing is read, before the login and after it`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, { tls: 'implicit', backendPort: backend.port })
    for (const isJoined of [false, true]) {
      using client = await front.connect()
      const raw: Socket = client.socket
      const secured = await client.startTls(verified())
      await client.expect(words.greeting)
      if (isJoined) {
        client.send(words.logIn('ann', 'secret'))
        await client.expect(words.accepted)
        client.send('y APPEND x {9}\r\nabc')
      } else client.send(words.logIn('ann', 'secret').slice(0, -3))
      const written = raw.bytesWritten
      secured.end()
      while (raw.bytesWritten === written) await new Promise((resolve) => setImmediate(resolve))
      if (raw.writable) raw.write('in clear text\r\nx NOOP\r\n')
      await client.end()
    }
    await front.runtime.idle()
    for (const peer of backend.peers) await peer.end()
    assert.doesNotMatch(backend.received, /clear|NOOP/)
    assert.equal(backend.peers.length, 1, 'half a login is none')
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
  })

  test(`${service}: names that mean something elsewhere are nobody's here, and are not written down`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, {
      backendPort: backend.port,
      limits: { auth_failure_delay: '1ms' },
    })
    for (const name of names) {
      using client = await greeted(front, service)
      if (service === 'submission') client.send('EHLO c\r\n')
      if (service === 'submission') await client.expect(/^250-.*\r\n250 .*\r\n/)
      const message = plain(name, 'secret')
      // Longer than a command of these may be.
      const isTooLong = message.length > 8000
      const canBeSent = !isTooLong || service === 'submission'
      client.send(byPlain[service](message))
      if (canBeSent) await client.expect(failed[service])
      else await client.expect(/(?:BYE|-ERR) .*\r\n/)
    }
    assert.equal(backend.received, '')
    const log = JSON.stringify(front.runtime.events)
    assert.doesNotMatch(log, /secret|passwd|__proto__|\\u001b/)
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
  })

  test(`${service}: logins that are no base64 disturb no others`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, { backendPort: backend.port })
    const broken = ['====', 'A', 'AGFu bgBz', 'AGFubg', '!', 'AGFubgBzZWNyZXQ', 'A'.repeat(4097)]
    const bad = async (message: string): Promise<void> => {
      using client = await greeted(front, service)
      if (service === 'submission') await client.send('EHLO c\r\n').expect(/^250 .*\r\n/m)
      client.send(byPlain[service](message))
      await client.expect(/BAD|-ERR|NO|501|BYE/)
    }
    const good = async (): Promise<void> => {
      using client = await greeted(front, service)
      client.send(words.logIn('ann', 'secret'))
      await client.expect(words.accepted)
    }
    const round = (): Promise<void>[] => [...broken.map(bad), ...Array.from({ length: 10 }, good)]
    await Promise.all(Array.from({ length: 10 }, round).flat())
    assert.equal(backend.peers.length, 100)
  })

  test(`${service}: a thousand clients that leave within their login leave nothing behind`, async () => {
    await using backend = await startBackend(service)
    await using front = await startFront(service, { backendPort: backend.port })
    const login = Buffer.from(words.logIn('ann', 'secret'), 'latin1')
    const numbers = Array.from({ length: 1000 }, (_, number) => number).values()
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        for (const number of numbers) {
          using client = await front.connect()
          client.send(login.subarray(0, number % (login.length + 1)))
          if (number % 3 === 0) await client.expect(words.greeting)
          if (number % 2 === 0) client.socket.resetAndDestroy()
          else client.socket.end()
          await client.end()
        }
      }),
    )
    await front.runtime.idle()
    for (const { closed, socket } of backend.peers) if (!closed) await once(socket, 'close')
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
    using client = await greeted(front, service)
    client.send(login)
    await client.expect(words.accepted)
  })
}

test('of an address ten logins are at back-ends at once, and all others have their turn', async () => {
  let [atOnce, most] = [0, 0]
  await using backend = await ScriptedBackend.start(async (peer) => {
    most = Math.max(most, ++atOnce)
    await pass(10)
    peer.send(loginWords.imap.backendGreeting)
    await serveLogin(peer, { service: 'imap', certificate })
    atOnce--
    await peer.end()
  })
  await using front = await startFront('imap', {
    backendPort: backend.port,
    limits: { exempt: '[]' },
  })
  const logins = Array.from({ length: 200 }, async () => {
    using client = await greeted(front, 'imap')
    client.send('b LOGIN ann secret\r\n')
    await client.expect(loginWords.imap.accepted)
  })
  await Promise.all(logins)
  assert.equal(most, 10)
  assert.deepEqual(reasonsOf(front), [])
})

function median(values: readonly number[]): number {
  return [...values].sort((one, other) => one - other)[Math.floor(values.length / 2)] ?? 0
}

test('imap: who exists is not told by time', async () => {
  await using backend = await startBackend('imap')
  const tries = 40
  const everybody = Array.from({ length: tries }, (_, number) => `u${number}@example.com`)
  await using front = await startFront('imap', {
    backendPort: backend.port,
    limits: { auth_failure_delay: '40ms' },
    routes: Object.fromEntries(everybody.map((user) => [user, routeTo('fritz', user)])),
  })
  const took = { known: [] as number[], unknown: [] as number[], elsewhere: [] as number[] }
  const guess = async (login: string, list: number[]): Promise<void> => {
    using client = await greeted(front, 'imap')
    const startedAt = performance.now()
    client.send(`b LOGIN ${login} wrong\r\n`)
    await client.expect(loginWords.imap.refused)
    list.push(performance.now() - startedAt)
  }
  for (let number = 0; number < tries; number++) {
    await Promise.all([
      guess(`u${number}`, took.known),
      guess(`n${number}`, took.unknown),
      guess(`u${number}@example.org`, took.elsewhere),
    ])
  }
  const medians = Object.values(took).map(median)
  assert.equal(backend.peers.length, tries)
  assert.ok(Math.max(...medians) - Math.min(...medians) < 10, JSON.stringify(medians))
})
