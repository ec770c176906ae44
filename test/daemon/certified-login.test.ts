/** Clients that log in by a certificate, over real TLS, before a back-end that knows an administrator. */
import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { AdminLogins } from '../../src/daemon/admin-logins.ts'
import { LoginVerifier } from '../../src/daemon/login/login-verifier.ts'
import { createServerTls, type ServerTls } from '../../src/net/tls.ts'
import {
  type Authority,
  type ClientCertificate,
  type IssuedCertificate,
  makeAuthority,
} from '../support/certificates.ts'
import { FrontEnd, type FrontEndOptions } from '../support/front-end.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import {
  fromBase64,
  greeted,
  saslServices,
  type SaslService,
  saslWords,
} from '../support/sasl-login.ts'
import { routeTo } from '../support/test-runtime.ts'

/** Where a client asks what it may log in with. */
const lists = {
  imap: ['x CAPABILITY\r\n', /\* CAPABILITY (.*)\r\nx OK .*\r\n/],
  pop3: ['CAPA\r\n', /\+OK\r\n[^]*?SASL (.*)\r\n[^]*?\.\r\n/],
  sieve: ['CAPABILITY\r\n', /"SASL" "(.*)"\r\n[^]*?OK .*\r\n/],
  submission: ['EHLO mail.example.net\r\n', /250[- ]AUTH (.*)\r\n/],
} as const

const upgrades = {
  imap: ['t STARTTLS\r\n', /t OK .*\r\n/],
  pop3: ['STLS\r\n', /\+OK .*\r\n/],
  sieve: ['STARTTLS\r\n', /OK .*\r\n/],
  submission: ['STARTTLS\r\n', /220 .*\r\n/],
} as const

/** Who has asked for capabilities by IMAP is told the new ones first. */
const accepted = {
  imap: /^(?:\* CAPABILITY .*\r\n)?a OK .*\r\n/,
  pop3: saslWords.pop3.accepted,
  sieve: saslWords.sieve.accepted,
  submission: saslWords.submission.accepted,
} as const

const certified = new AdminLogins(new Map([['fritz', 'admin secret']]))
const admin = 'admin: {user: mailmux, password_file: s, style: authzid}'
const named = (names: string) => ({ alternatives: names })

let authority: Authority
let serverTls: ServerTls

before(() => {
  authority = makeAuthority()
  serverTls = createServerTls([authority.issue(['mx1.example.com'])], 'TLSv1.2', {
    ca: authority.ca,
    crl: undefined,
  })
})

/** A back-end that says what its logins were, and takes them. */
class Fritz implements AsyncDisposable {
  readonly logins: string[] = []
  answer: 'ok' | 'no' = 'ok'
  readonly service: SaslService
  #backend: ScriptedBackend | undefined

  private constructor(service: SaslService) {
    this.service = service
  }

  static async start(service: SaslService): Promise<Fritz> {
    const fritz = new Fritz(service)
    fritz.#backend = await ScriptedBackend.start((peer) => fritz.#serve(peer))
    return fritz
  }

  get port(): number {
    return this.#backend?.port ?? 0
  }

  get connections(): number {
    return this.#backend?.peers.length ?? 0
  }

  async #serve(peer: Peer): Promise<void> {
    const words = saslWords[this.service]
    await words.greet(peer, 'PLAIN')
    this.logins.push(await this.#login(peer))
    peer.send(words[this.answer])
    await peer.end()
  }

  /** A message of PLAIN, or what would be one. */
  async #login(peer: Peer): Promise<string> {
    const line = await peer.line()
    const [, user, password] = /^L LOGIN "?([^" ]*)"? "?([^" ]*)"?$/.exec(line) ?? []
    if (password !== undefined) return `\0${user}\0${password}`
    if (line.startsWith('USER ')) {
      peer.send('+OK\r\n')
      return `\0${line.slice(5)}\0${(await peer.line()).slice(5)}`
    }
    const [, message] = /PLAIN"? "?([A-Za-z0-9+/=]+)/.exec(line) ?? []
    if (message !== undefined) return fromBase64(message)
    peer.send('+ \r\n')
    return fromBase64(await peer.line())
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#backend?.[Symbol.asyncDispose]()
  }
}

function startFront(fritz: Fritz, more: Partial<FrontEndOptions> = {}): Promise<FrontEnd> {
  const { service } = fritz
  return FrontEnd.start({
    service,
    backendPort: fritz.port,
    backendLines: [admin],
    serverTls,
    certified,
    tls: 'implicit',
    routes: {
      'ann@example.com': routeTo('fritz', 'ann@example.com', 'ann.there'),
      'bob@example.com': routeTo('fritz', 'bob@example.com'),
    },
    mechanisms: ['PLAIN', 'LOGIN', 'EXTERNAL'],
    ...more,
  })
}

interface Shown {
  readonly certificate?: IssuedCertificate
  readonly session?: Buffer
  readonly maxVersion?: 'TLSv1.2' | 'TLSv1.3'
}

/** A client of an implicit listener, up to where it may log in. */
async function connected(front: FrontEnd, fritz: Fritz, shown: Shown = {}): Promise<Peer> {
  const client = await front.connect()
  await secure(client, shown)
  return greeted(client, fritz.service)
}

async function secure(client: Peer, { certificate, ...more }: Shown) {
  const own = { ...certificate, ...more }
  return client.startTls({ ca: authority.ca, servername: 'mx1.example.com', ...own })
}

function issued(client: ClientCertificate): IssuedCertificate {
  return authority.issueClient(client)
}

/** A client that shows a certificate for these names. */
async function shows(front: FrontEnd, fritz: Fritz, client: ClientCertificate): Promise<Peer> {
  return connected(front, fritz, { certificate: issued(client) })
}

async function offered(client: Peer, service: SaslService): Promise<string[]> {
  const [question, answer] = lists[service]
  client.send(question)
  const [, list = ''] = await client.expect(answer)
  return list.split(' ').flatMap((word) => word.replace('AUTH=', ''))
}

/** Asks to be somebody: whom the certificate names, where that is ''. */
function external(service: SaslService, asked = ''): string {
  if (asked !== '') return saslWords[service].start('EXTERNAL', octets(asked))
  return saslWords[service].begin(service === 'sieve' ? 'EXTERNAL" "' : 'EXTERNAL =')
}

function octets(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

for (const service of saslServices) {
  const words = saslWords[service]

  test(`${service}: a certificate logs its user in, through the administrator of the back-end`, async () => {
    await using fritz = await Fritz.start(service)
    await using front = await startFront(fritz)
    using client = await shows(front, fritz, named('email:Ann+work@EXAMPLE.com'))
    assert.deepEqual((await offered(client, service)).at(-1), 'EXTERNAL')
    client.send(external(service))
    await client.expect(accepted[service])
    assert.deepEqual(fritz.logins, ['ann.there\0mailmux\0admin secret'])
    const [session] = front.runtime.sessions
    assert.deepEqual([session?.user, session?.backend], ['ann@example.com', 'fritz'])
    assert.equal(front.runtime.counters.snapshot()[`login{${service},ok}`], 1)
    assert.doesNotMatch(JSON.stringify(front.runtime.events), /secret/)
  })

  test(`${service}: by STARTTLS it is offered after it, to who shows a certificate`, async () => {
    await using fritz = await Fritz.start(service)
    await using front = await startFront(fritz, { tls: 'starttls' })
    const certificate = issued(named('email:ann@example.com'))
    for (const shown of [{ certificate }, {}]) {
      using client = await greeted(await front.connect(), service)
      assert.ok(!(await offered(client, service)).includes('EXTERNAL'))
      client.send(upgrades[service][0])
      await client.expect(upgrades[service][1])
      await secure(client, shown)
      if (service === 'sieve') await client.expect(/OK .*\r\n/)
      const isShown = 'certificate' in shown
      assert.equal((await offered(client, service)).includes('EXTERNAL'), isShown)
      client.send(external(service))
      await client.expect(isShown ? accepted[service] : /^(?:a NO \[CANNOT\]|-ERR|NO|504) .*\r\n/)
    }
    assert.equal(fritz.logins.length, 1)
  })

  test(`${service}: who has no certificate logs in by a password, as before`, async () => {
    await using fritz = await Fritz.start(service)
    await using front = await startFront(fritz)
    using client = await connected(front, fritz)
    assert.deepEqual((await offered(client, service)).includes('EXTERNAL'), false)
    client.send(words.start('PLAIN', '\0ann\0pencil'))
    await client.expect(accepted[service])
    assert.deepEqual(fritz.logins, ['\0ann.there\0pencil'])
    assert.deepEqual(front.runtime.eventsOf('client.certificate'), [])
  })
}

for (const [what, client, reason, detail] of [
  ['of another authority', named('email:ann@example.com'), 'unverified', /UNABLE/],
  ['that has expired', { ...named('email:ann@example.com'), days: -1 }, 'unverified', /EXPIRED/],
  ['without a name', { subject: '/CN=ann@example.com' }, 'no_user', /^$/],
  ['with a NUL in its name', named(nul()), 'no_user', /^ann\\x00@example\.com$/],
  ['whose name is no address', named('email:ann'), 'no_user', /^ann$/],
  ['for an administrator of Dovecot', named('email:ann*mailmux@example.com'), 'no_user', /\*/],
  ['for somebody elsewhere', named('email:ann@example.net'), 'no_user', /^ann@example\.net$/],
] as const) {
  test(`a certificate ${what} logs nobody in, and the log tells why`, async () => {
    await using fritz = await Fritz.start('imap')
    await using front = await startFront(fritz)
    const issuer = what === 'of another authority' ? makeAuthority() : authority
    using peer = await connected(front, fritz, { certificate: issuer.issueClient(client) })
    assert.ok(!(await offered(peer, 'imap')).includes('EXTERNAL'))
    for (const asked of ['', 'ann@example.com']) {
      peer.send(external('imap', asked))
      await peer.expect(/^a NO \[CANNOT\] .*\r\n/)
    }
    const [event, ...more] = front.runtime.eventsOf('client.certificate')
    assert.deepEqual(more, [])
    assert.equal(event?.reason, reason)
    assert.match(event?.detail ?? '-', detail)
    assert.equal(fritz.connections, 0)
    // Its password still does.
    peer.send(saslWords.imap.start('PLAIN', '\0ann\0pencil'))
    await peer.expect(accepted.imap)
  })
}

function nul(): string {
  const name = Buffer.from('ann\0@example.com', 'latin1')
  const hex = Buffer.of(0x30, name.length + 2, 0x81, name.length, ...name).toString('hex')
  return `DER:${hex.replace(/(?=(?:..)+$)(?!^)/g, ':')}`
}

test('who asks for somebody must be that user, in whatever spelling', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz)
  const certificate = issued(named('email:ann@example.com'))
  for (const asked of ['ann@example.com', 'ANN', 'ann+x@Example.COM.', 'Ann@example.com']) {
    using client = await connected(front, fritz, { certificate })
    client.send(external('imap', asked))
    await client.expect(accepted.imap)
  }
  assert.deepEqual(new Set(fritz.logins), new Set(['ann.there\0mailmux\0admin secret']))
  assert.equal(fritz.logins.length, 4)
})

test('who asks for somebody else is refused as by a wrong password, and nobody is asked', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz, { limits: { auth_failure_delay: '60ms' } })
  const asked = ['bob@example.com', 'nobody@example.com', 'ann@example.net', 'mailmux', 'añn', '*']
  for (const name of asked) {
    using client = await shows(front, fritz, named('email:ann@example.com'))
    const startedAt = performance.now()
    client.send(external('imap', name))
    const [answer] = await client.expect(/^a NO .*\r\n/)
    assert.equal(answer, 'a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n')
    assert.ok(performance.now() - startedAt >= 55, name)
  }
  assert.equal(fritz.connections, 0)
  const events = front.runtime.eventsOf('client.certificate')
  assert.deepEqual(
    events.map(({ reason, detail }) => [reason, detail]),
    asked.map((name) => ['other_user', name]),
  )
  assert.equal(front.runtime.counters.snapshot()['login{imap,failed}'], asked.length)
})

test('of several users one must be asked for; several names of one user are one', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz)
  const both = issued(named('email:ann@example.com,email:bob@example.com'))
  using client = await connected(front, fritz, { certificate: both })
  client.send(external('imap'))
  await client.expect(saslWords.imap.refused)
  const [event] = front.runtime.eventsOf('client.certificate')
  assert.equal(event?.reason, 'ambiguous')
  assert.equal(event.detail, 'ann@example.com, bob@example.com')
  assert.equal(fritz.connections, 0)
  client.send(external('imap', 'bob'))
  await client.expect(accepted.imap)
  assert.deepEqual(fritz.logins, ['bob@example.com\0mailmux\0admin secret'])

  const one = named('email:ann@example.com,email:Ann@example.com,email:ann@example.net')
  using again = await shows(front, fritz, one)
  again.send(external('imap'))
  await again.expect(accepted.imap)
})

for (const [field, client, logins] of [
  ['commonName', { subject: '/CN=Bob', ...named('email:ann@example.com') }, ['bob@example.com']],
  ['emailAddress', { subject: '/CN=x/emailAddress=bob@example.com' }, ['bob@example.com']],
  ['emailAddress', { subject: '/CN=bob@example.com' }, []],
  ['rfc822Name', { subject: '/CN=x/emailAddress=bob@example.com' }, []],
] as const) {
  test(`the user is named by the field that the config says: ${field} of ${client.subject}`, async () => {
    await using fritz = await Fritz.start('imap')
    const lines = ['tls: {certificates: [{cert: c, key: k}], client_ca: ca.pem, client_user: ']
    await using front = await startFront(fritz, { config: [`${lines.join()}${field}}`] })
    using peer = await shows(front, fritz, client)
    peer.send(external('imap'))
    await peer.expect(/^a (?:OK|NO) .*\r\n/)
    assert.deepEqual(
      fritz.logins.map((login) => login.split('\0')[0]),
      logins,
    )
  })
}

test('a certificate of a user whom nobody has fails as a wrong password does', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz, { limits: { auth_failure_delay: '60ms' } })
  using client = await shows(front, fritz, named('email:nobody@example.com'))
  const startedAt = performance.now()
  client.send(external('imap'))
  const [answer] = await client.expect(/^a NO .*\r\n/)
  assert.equal(answer, 'a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n')
  assert.ok(performance.now() - startedAt >= 55)
  assert.deepEqual(front.runtime.eventsOf('client.certificate'), [])
})

test('failures count, but a device whose certificate is good no more makes nobody wait longer', async () => {
  await using fritz = await Fritz.start('imap')
  const limits = { auth_failure_delay: '1ms', auth_failures_per_ip: '2/day', exempt: '[]' }
  await using front = await startFront(fritz, { limits })
  const certificate = issued(named('email:ann@example.com'))
  const ask = async (name: string): Promise<string> => {
    using client = await connected(front, fritz, { certificate })
    client.send(external('imap', name))
    const [answer] = await client.expect(/^a (?:OK|NO) .*\r\n/)
    return answer
  }
  for (let count = 0; count < 3; count++) assert.match(await ask('bob'), /AUTHENTICATIONFAILED/)
  assert.match(await ask('eve'), /AUTHENTICATIONFAILED/)
  assert.match(await ask('ann'), /UNAVAILABLE/)
  assert.equal(front.runtime.eventsOf('refuse')[0]?.reason, 'auth_rate')
})

test('the third failure ends the session', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz)
  using client = await shows(front, fritz, named('email:ann@example.com'))
  client.send(external('imap', 'bob').repeat(3))
  await client.expect(/^(?:a NO \[AUTHENTICATIONFAILED\] .*\r\n){3}\* BYE .*\r\n/)
  await client.end()
})

test('a frozen user is waited for', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz)
  const { freezes } = front.runtime
  freezes.add({ user: 'ann@example.com', epoch: 1, ttlMs: 60_000 })
  using client = await shows(front, fritz, named('email:ann@example.com'))
  client.send(external('imap'))
  while (freezes.held === 0) await new Promise(setImmediate)
  assert.equal(fritz.connections, 0)
  freezes.thaw('ann@example.com', 1)
  await client.expect(accepted.imap)
})

test('with auth.mode verify a certificate does instead of a password', async () => {
  await using fritz = await Fritz.start('imap')
  const asked: string[] = []
  const verifier = new LoginVerifier(
    async (user) => {
      asked.push(user)
      return false
    },
    new Map([['fritz', 'admin secret']]),
  )
  await using front = await startFront(fritz, { verifier })
  using client = await shows(front, fritz, named('email:ann@example.com'))
  client.send(saslWords.imap.start('PLAIN', '\0ann\0pencil'))
  await client.expect(saslWords.imap.refused)
  client.send(external('imap'))
  await client.expect(accepted.imap)
  assert.deepEqual(asked, ['ann@example.com'])
})

test('a back-end that refuses its administrator is at fault, not the user', async () => {
  await using fritz = await Fritz.start('imap')
  fritz.answer = 'no'
  await using front = await startFront(fritz)
  using client = await shows(front, fritz, named('email:ann@example.com'))
  client.send(external('imap'))
  await client.expect(saslWords.imap.unavailable)
  assert.equal(front.runtime.eventsOf('backend')[0]?.reason, 'admin_refused')
})

for (const [what, more] of [
  ['a back-end has no administrator', { secondPort: 1 }],
  ['no certificates are taken', { certified: undefined }],
  ['the listener asks for none', { asksCertificate: false }],
  ['the config does not offer it', { config: ['mechanisms: {imap: [PLAIN]}'] }],
] as const) {
  test(`EXTERNAL is not offered where ${what}`, async () => {
    await using fritz = await Fritz.start('imap')
    await using front = await startFront(fritz, more as Partial<FrontEndOptions>)
    using client = await shows(front, fritz, named('email:ann@example.com'))
    assert.ok(!(await offered(client, 'imap')).includes('EXTERNAL'))
    client.send(external('imap'))
    await client.expect(/^a NO \[CANNOT\] .*\r\n/)
  })
}

test('EXTERNAL alone may be offered: then no password is taken', async () => {
  await using fritz = await Fritz.start('imap')
  const ca = 'tls: {certificates: [{cert: c, key: k}], client_ca: ca.pem}'
  const config = [ca, 'mechanisms: {imap: [EXTERNAL]}']
  await using front = await startFront(fritz, { config })
  using bare = await connected(front, fritz)
  assert.match((await offered(bare, 'imap')).join(' '), /LOGINDISABLED$/)
  using client = await shows(front, fritz, named('email:ann@example.com'))
  assert.match((await offered(client, 'imap')).join(' '), /LOGINDISABLED EXTERNAL$/)
  client.send('b LOGIN ann pencil\r\n')
  await client.expect(/^b NO \[CANNOT\] .*\r\n/)
  client.send(external('imap'))
  await client.expect(accepted.imap)
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: a session that is resumed logs in who began it, and nobody else`, async () => {
    await using fritz = await Fritz.start('imap')
    await using front = await startFront(fritz)
    const certificate = issued(named('email:ann@example.com'))
    const ticketOf = async (shown: Shown): Promise<Buffer> => {
      using peer = await front.connect()
      const socket = await secure(peer, { ...shown, maxVersion })
      // By TLS 1.3 tickets come before the first data.
      await greeted(peer, 'imap')
      const session = socket.getSession()
      assert(session !== undefined)
      return session
    }
    const again = await ticketOf({ certificate })
    const eve = issued(named('email:bob@example.com'))
    for (const shown of [{}, { certificate: eve }]) {
      using client = await connected(front, fritz, { ...shown, session: again, maxVersion })
      client.send(external('imap', 'bob'))
      await client.expect(saslWords.imap.refused)
      client.send(external('imap'))
      await client.expect(accepted.imap)
      assert.equal(fritz.logins.at(-1), 'ann.there\0mailmux\0admin secret')
    }
    const bare = await ticketOf({})
    using client = await connected(front, fritz, { certificate, session: bare, maxVersion })
    assert.ok(!(await offered(client, 'imap')).includes('EXTERNAL'))
  })
}

test('what a reload takes away is not given to sessions from before it', async () => {
  await using fritz = await Fritz.start('imap')
  await using front = await startFront(fritz)
  using client = await shows(front, fritz, named('email:ann@example.com'))
  const { current } = front.runtime
  front.runtime.current = { ...current, certified: undefined }
  client.send(external('imap'))
  await client.expect(saslWords.imap.unavailable)
  assert.equal(fritz.connections, 0)
  assert.match(front.runtime.eventsOf('internal')[0]?.detail ?? '', /no administrator for fritz$/)
})
