/** Submission by the smarthost: who judges the password, who logs in there, and what leaks to neither. */
import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { loginOffersOf } from '../../src/daemon/login/login-offers.ts'
import { LoginVerifier } from '../../src/daemon/login/login-verifier.ts'
import { FrontEnd, type FrontEndOptions } from '../support/front-end.ts'
import { ask, deliver, reply } from '../support/message.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { fromBase64, greeted, saslWords } from '../support/sasl-login.ts'
import { routeTo } from '../support/test-runtime.ts'

const { plain, accepted, refused, unavailable } = saslWords.submission

const user = 'ann@example.com'

/** What ingrid answers to a login. */
let verdict: string
let imap: ScriptedBackend
let pop3: ScriptedBackend
/** What the smarthost answers to a login, and offers. */
let welcome: string
let offers: string
let out: ScriptedBackend

async function playImap(peer: Peer): Promise<void> {
  peer.send('* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=SCRAM-SHA-256] hi\r\n')
  if (verdict === '') return
  const line = await peer.line()
  peer.send(`${line.split(' ')[0]} ${/secret/.test(line) ? verdict : 'NO no'}\r\n`)
  await peer.expect(/^Z LOGOUT\r\n/)
}

async function playPop3(peer: Peer): Promise<void> {
  peer.send('+OK hi\r\n')
  await peer.expect(/^USER ann\r\n/)
  peer.send('+OK\r\n')
  const line = await peer.line()
  peer.send(line === 'PASS secret' ? '+OK in\r\n' : '-ERR [AUTH] no\r\n')
  await peer.expect(/^QUIT\r\n/)
}

async function playSmarthost(peer: Peer): Promise<void> {
  peer.send('220 out.example.com ESMTP\r\n')
  for (;;) {
    const line = await peer.line()
    if (line.startsWith('EHLO ')) peer.send(`250-out.example.com\r\n${offers}`)
    else if (line.startsWith('XCLIENT ')) peer.send('220 out.example.com ESMTP\r\n')
    else if (line.startsWith('AUTH ')) peer.send(`${welcome}\r\n`)
    else if (line === 'DATA') {
      peer.send('354 go\r\n')
      await peer.expect(/^[^]*?\r\n\.\r\n/)
      peer.send('250 2.0.0 out has it\r\n')
    } else peer.send('250 2.1.0 out is fine\r\n')
  }
}

before(async () => {
  imap = await ScriptedBackend.start(playImap)
  pop3 = await ScriptedBackend.start(playPop3)
  out = await ScriptedBackend.start(playSmarthost)
})
after(async () => {
  await Promise.all([imap, pop3, out].map((backend) => backend[Symbol.asyncDispose]()))
})
beforeEach(() => {
  verdict = 'OK [CAPABILITY IMAP4rev1] in'
  welcome = '235 2.7.0 In'
  offers = '250-SIZE 1000\r\n250-AUTH PLAIN\r\n250 XCLIENT ADDR LOGIN\r\n'
  for (const backend of [imap, pop3, out]) backend.peers.length = 0
})

/** fritz is the smarthost, and ann lives on ingrid. */
async function startFront(options: Partial<FrontEndOptions> = {}): Promise<FrontEnd> {
  const front = await FrontEnd.start({
    service: 'submission',
    backendPort: out.port,
    backendLines: ['smtp: 1'],
    secondPort: imap.port,
    secondService: 'imap',
    routes: { [user]: routeTo('ingrid', user, 'ann') },
    config: [
      'smarthost: {backend: fritz, submission: {user: mailmux, password_file: out.password}}',
    ],
    ...options,
  })
  front.runtime.current = { ...front.runtime.current, smarthostPassword: 'smarthost-word' }
  await loginOffersOf(front.runtime, 'submission').ask()
  out.peers.length = 0
  return front
}

async function logIn(front: FrontEnd, password = 'secret', login = 'ann'): Promise<Peer> {
  const client = await greeted(await front.connect(), 'submission')
  client.send(plain(login, password))
  return client
}

async function untilHeld({ runtime }: FrontEnd): Promise<void> {
  const deadline = performance.now() + 10_000
  while (runtime.freezes.held === 0) {
    assert.ok(performance.now() < deadline, 'not held')
    await setImmediate()
  }
}

/** What came to the smarthost, with what AUTH says in words. */
function heardByOut(): string {
  return out.received.replace(/(?<=AUTH PLAIN )\S+/g, fromBase64)
}

for (const [service, backend] of [
  ['imap', () => imap],
  ['pop3', () => pop3],
] as const) {
  test(`${service} at the own back-end judges the password, which the smarthost does not see`, async () => {
    await using front = await startFront({
      secondService: service,
      secondPort: backend().port,
      config: [
        'smarthost: {backend: fritz, submission: {user: mailmux, password_file: out.password}}',
        'check_sender: own',
      ],
    })
    using client = await logIn(front)
    await client.expect(accepted)
    assert.match(await deliver(client, `MAIL FROM:<${user}>`, 'RCPT TO:<x@example.net>'), /^250 /)
    assert.match((await ask(client, 'MAIL FROM:<bob@example.com>')).join(), /^553 5\.7\.1/)
    assert.match(backend().received, /ann"? ?(?:\r\nPASS )?"?secret/)
    assert.match(heardByOut(), /^AUTH PLAIN \0mailmux\0smarthost-word\r$/m)
    assert.doesNotMatch(heardByOut(), /secret|bob@/)
    assert.doesNotMatch(backend().received, /smarthost-word/)
    assert.doesNotMatch(JSON.stringify(front.runtime.events), /secret|smarthost-word/)
    const counts = front.runtime.counters.snapshot()
    assert.equal(counts[`backend_login{ingrid,${service},ok}`], 1)
    assert.equal(counts['backend_login{fritz,submission,ok}'], 1)
    const [session] = front.runtime.sessions
    assert.deepEqual([session?.user, session?.backend, session?.login], [user, 'fritz', undefined])
  })
}

test('EHLO offers what the smarthost does, and passwords alone', async () => {
  offers = '250-SIZE 1000\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN SCRAM-SHA-256\r\n'
  await using front = await startFront()
  using client = await front.connect()
  client.send('EHLO mail.example.net\r\n')
  const [said] = await client.expect(/^220 .*\r\n(?:250-.*\r\n)*250 .*\r\n/)
  assert.match(said, /^250-SIZE 1000\r$/m)
  assert.match(said, /^250-8BITMIME\r$/m)
  assert.match(said, /^250.AUTH PLAIN LOGIN\r$/m)
})

test('a wrong password and an unknown user are one answer after one wait, and ask no smarthost', async () => {
  await using front = await startFront({ limits: { auth_failure_delay: '60ms' } })
  for (const [login, password] of [
    ['ann', 'wrong'],
    ['nobody', 'secret'],
  ] as const) {
    const startedAt = performance.now()
    using client = await logIn(front, password, login)
    await client.expect(refused)
    assert.ok(performance.now() - startedAt >= 55, login)
  }
  assert.equal(out.received, '')
  assert.equal(front.runtime.counters.snapshot()['login{submission,failed}'], 2)
})

test('a mailbox that says something of itself is no wrong password', async () => {
  verdict = 'NO [LIMIT] too many'
  await using front = await startFront()
  using client = await logIn(front)
  await client.expect(unavailable)
})

test('where the own back-end is down nobody can be judged, and no failure is counted', async () => {
  await using front = await startFront({ secondPort: 1 })
  using client = await logIn(front)
  await client.expect(unavailable)
  const [event] = front.runtime.eventsOf('backend')
  assert.deepEqual([event?.backend, event?.step], ['ingrid', 'connect'])
  assert.equal(out.received, '')
  assert.deepEqual(front.runtime.eventsOf('internal'), [])
})

test('a back-end with neither IMAP nor POP3 is a fault of the config, told to its administrator', async () => {
  await using front = await startFront({ secondService: 'sieve' })
  using client = await logIn(front)
  await client.expect(unavailable)
  const [event] = front.runtime.eventsOf('internal')
  assert.match(event?.detail ?? '', /ingrid has no imap or pop3 to judge passwords in the config/)
})

test('a smarthost that is down, or refuses our login, is no fault of the user', async () => {
  {
    await using front = await startFront({ backendPort: 1 })
    using client = await logIn(front)
    await client.expect(unavailable)
    assert.deepEqual(
      front.runtime.eventsOf('backend').map(({ backend, step }) => `${backend} ${step}`),
      ['fritz connect'],
    )
  }
  welcome = '535 5.7.8 mailmux has a wrong password'
  await using front = await startFront()
  using client = await logIn(front)
  const [said] = await client.expect(unavailable)
  assert.doesNotMatch(said, /mailmux|wrong/)
  assert.deepEqual(
    front.runtime.eventsOf('backend').map(({ backend, reason }) => `${backend} ${reason}`),
    ['fritz admin_refused'],
  )
})

test('a smarthost that trusts us is told by XCLIENT who has logged in', async () => {
  const config = ['smarthost: {backend: fritz, submission: xclient}']
  await using front = await startFront({ config })
  using client = await logIn(front)
  await client.expect(accepted)
  assert.match((await ask(client, `MAIL FROM:<${user}>`)).join(), /out is fine/)
  assert.match(out.received, /^XCLIENT ADDR=\S+ LOGIN=ann@example\.com\r$/m)
  assert.doesNotMatch(out.received, /AUTH/)
  offers = '250 AUTH PLAIN\r\n'
  using other = await logIn(front)
  await other.expect(unavailable)
  assert.equal(front.runtime.eventsOf('backend').at(-1)?.reason, 'no_mechanism')
  assert.doesNotMatch(out.received, /AUTH/)
})

test('where we judge passwords no other back-end is asked, nor anybody held for a move', async () => {
  const verifier = new LoginVerifier(async (_, password) => password === 'right', new Map())
  await using front = await startFront({ verifier })
  front.runtime.freezes.add({ user, epoch: 1, ttlMs: 60_000 })
  using client = await logIn(front, 'right')
  await client.expect(accepted)
  using other = await logIn(front, 'secret')
  await other.expect(refused)
  assert.equal(imap.received, '')
  // A freeze that comes later has nothing to wait for here either.
  const freeze = front.runtime.freezes.add({ user, epoch: 2, ttlMs: 60_000 })
  assert.deepEqual(
    [...front.runtime.sessions].map((session) => session.concerns(freeze)),
    [false, false],
  )
  front.runtime.freezes.thaw(user, 2)
})

test('while a mailbox is moved its back-end is not asked, and then the new one is', async () => {
  await using front = await startFront()
  front.runtime.freezes.add({ user, epoch: 1, ttlMs: 60_000 })
  using client = await logIn(front)
  await untilHeld(front)
  assert.equal(imap.peers.length, 0)
  front.runtime.freezes.thaw(user, 1)
  await client.expect(accepted)
  assert.equal(front.runtime.eventsOf('login.held').length, 1)
  assert.equal(imap.peers.length, 1)
})

test('a refusal of a mailbox that was frozen meanwhile is no wrong password', async () => {
  verdict = ''
  await using front = await startFront()
  using client = await logIn(front)
  const peer = await imap.peerNumber(0)
  await peer.expect(/LOGIN/)
  front.runtime.freezes.add({ user, epoch: 1, ttlMs: 60_000 })
  peer.send('L NO [AUTHENTICATIONFAILED] locked\r\n')
  await untilHeld(front)
  verdict = 'OK [CAPABILITY IMAP4rev1] in'
  front.runtime.freezes.thaw(user, 1)
  await client.expect(accepted)
  assert.equal(front.runtime.counters.snapshot()['login{submission,failed}'], undefined)
})

test('a client that leaves while its password is judged leaves nothing behind', async () => {
  verdict = ''
  await using front = await startFront()
  const client = await logIn(front)
  const peer = await imap.peerNumber(0)
  await peer.expect(/LOGIN/)
  client.socket.destroy()
  await peer.end()
  await front.runtime.idle()
  assert.equal(out.received, '')
})

test('who has a submission port of their own goes on using it', async () => {
  const own = await ScriptedBackend.start(playSmarthost)
  await using _ = own
  await using front = await startFront({ secondPort: own.port, secondService: 'submission' })
  using client = await logIn(front)
  await client.expect(accepted)
  client.send('NOOP\r\n')
  assert.match(await reply(client), /out is fine/)
  const heard = own.received.replace(/(?<=AUTH PLAIN )\S+/g, fromBase64)
  assert.match(heard, /\0ann\0secret/)
})
