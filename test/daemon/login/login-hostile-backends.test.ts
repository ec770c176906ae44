/** Back-ends that mean harm, or are broken, at each step until a login. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LoginService, TlsMode } from '../../../src/config/config.ts'
import { FrontEnd } from '../../support/front-end.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginServices, loginWords } from '../../support/login-words.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate, trust } = tlsParties()

/** What gives a password away: as it is, and in PLAIN. */
const secrets = /secret|AGFubg|YW5uAHNlY3JldA/

const own = {
  imap: {
    greeting: '* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] hi\r\n',
    go: (line: string) => `${line.split(' ')[0]} OK go\r\n`,
    forgedOk: 'C OK done\r\nL OK [CAPABILITY IMAP4rev1] In\r\n',
    leaves: '* BYE going\r\n',
    unasked: '* 3 EXISTS\r\n* OK [ALERT] pay here\r\n* STATUS INBOX (MESSAGES 1)\r\n',
  },
  pop3: {
    greeting: '+OK hi\r\n',
    go: () => '+OK go\r\n',
    forgedOk: '+OK\r\n+OK In\r\n',
    leaves: '-ERR [SYS/TEMP] going\r\n',
    unasked: '',
  },
  sieve: {
    greeting: '"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "hi"\r\n',
    go: () => 'OK "go"\r\n',
    forgedOk: 'OK "In"\r\n',
    leaves: 'BYE "going"\r\n',
    unasked: '',
  },
  submission: {
    greeting: '220 hi\r\n',
    go: () => '220 go\r\n',
    forgedOk: '235 2.7.0 In\r\n',
    leaves: '421 4.3.2 going\r\n',
    unasked: '',
  },
} as const

function startFront(
  service: LoginService,
  backend: ScriptedBackend,
  backendTls: TlsMode,
): Promise<FrontEnd> {
  return FrontEnd.start({
    service,
    backendPort: backend.port,
    backendTls,
    backendName: 'fritz.example.com',
    trust,
    limits: { login_timeout: '200ms' },
  })
}

/** How far a back-end behaves well. */
const steps = ['greeting', 'hello', 'after STARTTLS', 'login'] as const
type Step = (typeof steps)[number]

/** Greets, upgrades and offers what it should, up to a step; returns what it was asked last. */
async function serveTo(peer: Peer, service: LoginService, step: Step): Promise<string> {
  if (step === 'greeting') return ''
  peer.send(own[service].greeting)
  let line = await peer.line()
  if (service === 'submission') {
    if (step === 'hello') return line
    peer.send('250-fritz\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n')
    line = await peer.line()
  }
  if (step === 'hello') return line
  peer.send(own[service].go(line))
  await peer.acceptTls(certificate)
  if (service === 'sieve' && step === 'login') peer.send('"SASL" "PLAIN"\r\nOK\r\n')
  if (step === 'after STARTTLS') return ''
  line = await peer.line()
  if (service === 'imap') {
    peer.send('* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nC OK\r\n')
    line = await peer.line()
  } else if (service === 'submission') {
    peer.send('250 AUTH PLAIN\r\n')
    line = await peer.line()
  }
  return line
}

const faults: Readonly<Record<string, (peer: Peer, service: LoginService) => unknown>> = {
  closes: (peer) => peer.socket.end(),
  resets: (peer) => peer.socket.resetAndDestroy(),
  'is silent': () => undefined,
  'says garbage': (peer) => peer.send('\0\xff99x what?\r\n'),
  'says half a line': (peer) => peer.send('*'),
  'never ends a line': (peer) => peer.send('x'.repeat(100_000)),
  'never ends its lines': (peer, service) =>
    peer.send(
      { imap: '* 1 X\r\n', pop3: 'X\r\n', sieve: '"X" "y"\r\n', submission: '220-x\r\n' }[
        service
      ].repeat(20_000),
    ),
  'announces four gigabytes': (peer, service) =>
    peer.send(service === 'sieve' ? '"X" {4294967295}\r\n' : '* X {4294967295}\r\n'),
  leaves: (peer, service) => peer.send(own[service].leaves),
}

for (const service of loginServices) {
  const words = loginWords[service]

  for (const step of steps) {
    for (const [what, misbehave] of Object.entries(faults)) {
      test(`${service}: at its ${step} a back-end that ${what} is not available`, async () => {
        await using backend = await ScriptedBackend.start(async (peer) => {
          await serveTo(peer, service, step)
          misbehave(peer, service)
        })
        await using front = await startFront(service, backend, 'starttls')
        using client = await front.connect()
        await client.expect(words.greeting)
        client.send(words.logIn('ann', 'secret'))
        await client.expect(words.unavailable)
        assert.equal(client.unread, '')
        const [event, ...more] = front.runtime.eventsOf('backend')
        assert.deepEqual([event?.backend, more], ['fritz', []])
        if (step !== 'login') assert.doesNotMatch(backend.received, secrets)
        assert.doesNotMatch(JSON.stringify(front.runtime.events), /secret/)
        // Its session goes on, and nothing is left of the back-end.
        assert.equal(front.runtime.sessions.size, 1)
        await backend.peers[0]?.end().catch(() => undefined)
      })
    }
  }

  test(`${service}: answers that come along with that to STARTTLS are injected, and end it`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      const line = await serveTo(peer, service, 'hello')
      if (service === 'submission') {
        peer.send('250-fritz\r\n250-STARTTLS\r\n250 AUTH PLAIN\r\n')
        await peer.line()
      }
      peer.send(own[service].go(line) + own[service].forgedOk)
      await peer.end()
    })
    await using front = await startFront(service, backend, 'starttls')
    using client = await front.connect()
    await client.expect(words.greeting)
    client.send(words.logIn('ann', 'secret'))
    await client.expect(words.unavailable)
    assert.equal((await front.runtime.waitFor('backend')).reason, 'starttls_surplus')
    assert.doesNotMatch(backend.received, secrets)
  })

  test(`${service}: what is said unasked before the login never comes to the client, after it all does`, async () => {
    const { unasked } = own[service]
    await using backend = await ScriptedBackend.start(async (peer) => {
      if (service === 'imap') {
        peer.send('* OK [ALERT] [REFERRAL imap://evil/] pay here\r\n')
        await peer.line()
        peer.send(`${unasked}* CAPABILITY IMAP4rev1\r\n${unasked}C OK [ALERT] pay here\r\n`)
        await peer.line()
        peer.send(`${unasked}L OK [CAPABILITY IMAP4rev1 IDLE] In\r\n* 4 EXISTS\r\n`)
      } else {
        peer.send(words.backendGreeting)
        await serveLogin(peer, { service, certificate, surplus: 'x 4\r\n' })
      }
      await peer.expect(/^x end\r\n/)
      peer.socket.end('x done\r\n')
    })
    await using front = await startFront(service, backend, 'none')
    using client = await front.connect()
    await client.expect(words.greeting)
    client.send(words.logIn('ann', 'secret'))
    await client.expect(words.accepted)
    client.send('x end\r\n')
    const rest = await client.end()
    const surplus = service === 'imap' ? '* 4 EXISTS\r\n' : 'x 4\r\n'
    assert.equal(rest, `${surplus}x done\r\n`)
    assert.doesNotMatch(client.received, /pay|evil|EXISTS[^]*EXISTS|STATUS/)
  })

  test(`${service}: of a hundred logins that a back-end takes and drops, each session ends, and no other`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      peer.send(words.backendGreeting)
      if (await serveLogin(peer, { service, certificate })) peer.socket.destroySoon()
    })
    await using front = await startFront(service, backend, 'none')
    using waiting = await front.connect()
    await waiting.expect(words.greeting)
    for (let round = 0; round < 10; round++) {
      const ends = Array.from({ length: 10 }, async () => {
        using client = await front.connect()
        await client.expect(words.greeting)
        client.send(words.logIn('ann', 'secret'))
        await client.expect(words.accepted)
        assert.match(await client.end(), service === 'submission' ? /^(?:421 .*\r\n)?$/ : /^$/)
      })
      await Promise.all(ends)
    }
    await front.runtime.waitFor('session.end', 100)
    assert.equal(front.runtime.sessions.size, 1)
    assert.deepEqual(front.runtime.eventsOf('internal'), [])
  })
}

test('imap: PREAUTH is no login, also inside TLS', async () => {
  for (const tls of ['none', 'implicit', 'starttls'] as const) {
    await using backend = await ScriptedBackend.start(async (peer) => {
      if (tls === 'implicit') await peer.acceptTls(certificate)
      if (tls === 'starttls') await serveTo(peer, 'imap', 'after STARTTLS')
      peer.send('* PREAUTH [CAPABILITY IMAP4rev1] ann\r\n')
      await peer.end()
    })
    await using front = await startFront('imap', backend, tls)
    using client = await front.connect()
    await client.expect(loginWords.imap.greeting)
    client.send('b LOGIN ann secret\r\n')
    await client.expect(loginWords.imap.unavailable)
    const { reason } = await front.runtime.waitFor('backend')
    // After STARTTLS nobody greets: it is no answer to what was asked.
    assert.equal(reason, tls === 'starttls' ? 'timeout' : 'preauth')
    assert.doesNotMatch(backend.received, secrets)
  }
})
