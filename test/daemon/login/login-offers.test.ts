/** What clients may log in with is learned from the back-ends. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startImapSession } from '../../../src/daemon/front-end/imap.ts'
import { startPop3Session } from '../../../src/daemon/front-end/pop3.ts'
import { loginOffersOf } from '../../../src/daemon/login/login-offers.ts'
import { FrontEnd } from '../../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { saslServices, type SaslService, saslWords } from '../../support/sasl-login.ts'
import { TestRuntime } from '../../support/test-runtime.ts'

/** A back-end that offers what it is told to, to whoever asks; `undefined`: it refuses to speak. */
class Offering {
  names: readonly string[] | undefined
  readonly #service: SaslService

  constructor(service: SaslService, ...names: readonly string[]) {
    this.names = names
    this.#service = service
  }

  readonly serve = async (peer: Peer): Promise<void> => {
    if (this.names === undefined) {
      peer.socket.destroy()
      return
    }
    if (this.#service === 'imap') peer.send('* OK hi\r\n')
    else await saslWords[this.#service].greet(peer, this.names.join(' '))
    const [tag = ''] = (await peer.line()).split(' ')
    const words = this.names.map((name) => `AUTH=${name}`).join(' ')
    const imap = [`* CAPABILITY IMAP4rev1 ${words}`, `${tag} OK`]
    const pop3 = ['+OK', 'USER', `SASL ${this.names.join(' ')}`, '.']
    const lines = { imap, pop3, sieve: ['OK'], submission: ['221 bye'] }[this.#service]
    peer.send(lines.map((line) => `${line}\r\n`).join(''))
    await peer.end()
  }
}

for (const service of saslServices) {
  test(`${service}: what is offered is what every back-end offers, and a change is an event`, async () => {
    const [one, other] = [
      new Offering(service, 'PLAIN', 'SCRAM-SHA-256', 'XOAUTH2'),
      new Offering(service, 'SCRAM-SHA-256', 'SCRAM-SHA-1', 'X-OWN'),
    ]
    await using fritz = await ScriptedBackend.start(one.serve)
    await using ingrid = await ScriptedBackend.start(other.serve)
    const runtime = new TestRuntime({
      config: `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, ${service}: ${fritz.port}, tls: none}
  ingrid: {host: 127.0.0.1, ${service}: ${ingrid.port}, tls: none}
  smart: {host: 127.0.0.1, smtp: 1, tls: none}
`,
    })
    const offers = loginOffersOf(runtime, service)
    const offered = (): string => offers.mechanismsFor(runtime.current).join(' ')
    assert.equal(offered(), 'PLAIN LOGIN', 'not asked yet')
    await offers.ask()
    assert.equal(offered(), 'PLAIN LOGIN SCRAM-SHA-256')
    await offers.ask()
    assert.equal(runtime.eventsOf('backend.offers').length, 2, 'only a change is an event')
    one.names = ['SCRAM-SHA-256', 'SCRAM-SHA-1']
    await offers.ask()
    assert.equal(offered(), 'PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1')
    assert.deepEqual(runtime.eventsOf('backend.offers').at(-1), {
      backend: 'fritz',
      protocol: service,
      offers: {
        imap: ['SCRAM-SHA-256', 'SCRAM-SHA-1'],
        pop3: ['SCRAM-SHA-256', 'SCRAM-SHA-1'],
        sieve: ['SASL SCRAM-SHA-256 SCRAM-SHA-1', 'SIEVE fileinto'],
        submission: ['8BITMIME', 'AUTH SCRAM-SHA-256 SCRAM-SHA-1'],
      }[service],
    })
    // What was seen last counts of one that is away.
    other.names = undefined
    await offers.ask()
    assert.equal(offered(), 'PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-1')
    // Clients that bind channels could not log in there through us.
    one.names = ['SCRAM-SHA-256', 'SCRAM-SHA-1', 'SCRAM-SHA-256-PLUS']
    await offers.ask()
    assert.equal(offered(), 'PLAIN LOGIN SCRAM-SHA-1')
  })

  test(`${service}: a back-end that was never reached counts no more once it was asked in vain`, async () => {
    const offering = new Offering(service, 'SCRAM-SHA-1')
    await using fritz = await ScriptedBackend.start(offering.serve)
    const runtime = new TestRuntime({
      config: `hostname: mx1.example.com
domains: [example.com]
backends:
  fritz: {host: 127.0.0.1, ${service}: ${fritz.port}, tls: none}
  ingrid: {host: 127.0.0.1, ${service}: 1, tls: none}
`,
    })
    const offers = loginOffersOf(runtime, service)
    await offers.ask()
    assert.deepEqual(offers.mechanismsFor(runtime.current), ['PLAIN', 'LOGIN', 'SCRAM-SHA-1'])
  })
}

test('a back-end that no longer offers what it did is asked again at once', async () => {
  const offering = new Offering('imap', 'SCRAM-SHA-1')
  await using backend = await ScriptedBackend.start(offering.serve)
  const options = { service: 'imap', backendPort: backend.port } as const
  await using front = await FrontEnd.start({
    ...options,
    mechanisms: ['SCRAM-SHA-1', 'SCRAM-SHA-256'],
  })
  using client = await front.connect()
  await client.expect(/AUTH=LOGIN AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1\].*\r\n/)
  const first = Buffer.from('n,,n=ann,r=x').toString('base64')
  client.send(`a AUTHENTICATE SCRAM-SHA-256 ${first}\r\n`)
  await client.expect(/^a NO \[UNAVAILABLE\] .*\r\n/)
  assert.equal((await front.runtime.waitFor('backend')).reason, 'no_mechanism')
  await front.runtime.waitFor('backend.offers', 2)
  using later = await front.connect()
  await later.expect(/AUTH=LOGIN AUTH=SCRAM-SHA-1\].*\r\n/)
})

test('what the config does not name is not offered, nor taken: passwords in no form', async () => {
  for (const [service, start, says] of [
    ['imap', startImapSession, /LOGINDISABLED AUTH=SCRAM-SHA-256\]/],
    ['pop3', startPop3Session, /^\+OK/],
  ] as const) {
    const options = { service, start, mechanisms: ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-1'] }
    const config = [`mechanisms: {${service}: [SCRAM-SHA-256, OAUTHBEARER]}`]
    await using front = await FrontEnd.start({ ...options, config })
    using client = await front.connect()
    assert.match(await client.line(), says)
    for (const [said, answer] of service === 'imap'
      ? ([
          ['a LOGIN ann secret', /^a NO \[CANNOT\]/],
          ['b AUTHENTICATE PLAIN AGFubgBzZWNyZXQ=', /^b NO \[CANNOT\]/],
          ['c AUTHENTICATE SCRAM-SHA-1', /^c NO \[CANNOT\]/],
        ] as const)
      : ([
          ['USER ann', /^-ERR Passwords/],
          ['PASS secret', /^-ERR Passwords/],
          ['AUTH PLAIN AGFubgBzZWNyZXQ=', /^-ERR This mechanism/],
          ['AUTH', /^\+OK/],
        ] as const)) {
      client.send(`${said}\r\n`)
      assert.match(await client.line(), answer, said)
    }
    if (service === 'pop3') await client.expect(/^SCRAM-SHA-256\r\n\.\r\n/)
    client.send(service === 'imap' ? 'd CAPABILITY\r\n' : 'CAPA\r\n')
    await client.expect(service === 'imap' ? /^d OK.*\r\n/m : /^SASL SCRAM-SHA-256\r\n\.\r\n/m)
    assert.doesNotMatch(client.received, /^USER|AUTH=PLAIN/m)
  }
})

/** A POP3 proxy that has asked its back-end what it offers. */
async function frontOf(backend: ScriptedBackend): Promise<FrontEnd> {
  const options = { service: 'pop3', start: startPop3Session, backendPort: backend.port } as const
  const front = await FrontEnd.start(options)
  await loginOffersOf(front.runtime, 'pop3').ask()
  return front
}

for (const offered of ['PIPELINING\r\n', '']) {
  const how = offered === '' ? 'one by one' : 'in a row'
  test(`POP3 back-ends are sent name and password ${how}, as they offer`, async () => {
    const seen: string[] = []
    await using backend = await ScriptedBackend.start(async (peer) => {
      peer.send('+OK hi\r\n')
      const first = await peer.line()
      if (first === 'CAPA') peer.send(`+OK\r\nUSER\r\n${offered}.\r\n`)
      else {
        if (offered === '') {
          seen.push(peer.unread)
          peer.send('+OK\r\n')
        }
        seen.push(first, await peer.line())
        peer.send(offered === '' ? '+OK In\r\n' : '+OK\r\n+OK In\r\n')
      }
      await peer.end()
    })
    await using front = await frontOf(backend)
    using client = await front.connect()
    client.send('USER ann\r\nPASS secret\r\n')
    await client.expect(/^\+OK In\r\n/m)
    const both = ['USER ann', 'PASS secret']
    assert.deepEqual(seen, offered === '' ? ['', ...both] : both)
  })
}

test('a POP3 back-end that does not take in a row what it offers to is asked one by one', async () => {
  let logins = 0
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('+OK hi\r\n')
    if ((await peer.line()) === 'CAPA') peer.send('+OK\r\nUSER\r\nPIPELINING\r\n.\r\n')
    else if (logins++ === 0) peer.socket.destroy()
    else {
      assert.equal(peer.unread, '')
      peer.send('+OK\r\n')
      await peer.line()
      peer.send('+OK In\r\n')
    }
    await peer.end()
  })
  await using front = await frontOf(backend)
  using client = await front.connect()
  client.send('USER ann\r\nPASS secret\r\n')
  await client.expect(/^-ERR \[SYS\/TEMP\] .*\r\n/m)
  client.send('USER ann\r\nPASS secret\r\n')
  await client.expect(/^\+OK In\r\n/m)
})
