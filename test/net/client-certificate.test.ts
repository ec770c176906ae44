/** What is believed of the certificates that clients show, over real handshakes. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { before, test, type TestContext } from 'node:test'
import { type ConnectionOptions, TLSSocket } from 'node:tls'
import type { CertificateField } from '../../src/config/config.ts'
import { MailmuxError } from '../../src/base/error.ts'
import { type ShownCertificate, shownCertificate } from '../../src/net/client-certificate.ts'
import { acceptTls } from '../../src/net/accept-tls.ts'
import { createServerTls, type ServiceTls } from '../../src/net/tls.ts'
import {
  type Authority,
  type ClientCertificate,
  type IssuedCertificate,
  makeAuthority,
  makeImpostor,
} from '../support/certificates.ts'
import { Peer } from '../support/peer.ts'

const versions = ['TLSv1.2', 'TLSv1.3'] as const
const own = { name: 'imap', alpn: 'imap', ticketKey: randomBytes(48), takesCertificates: true }

let authority: Authority
let stranger: Authority
let server: IssuedCertificate

before(() => {
  authority = makeAuthority()
  stranger = makeAuthority()
  server = authority.issue(['mx1.example.com'])
})

function contexts(ca: string, crl?: string): ServiceTls {
  return createServerTls([server], 'TLSv1.2', { ca, crl }).forService(own)
}

interface Shaken {
  readonly shown: ShownCertificate | undefined
  readonly isResumed: boolean
  readonly ticket: Buffer
}

interface Side {
  readonly serverTls: ServiceTls
  readonly field?: CertificateField
  readonly asksCertificate?: boolean
}

interface Ends {
  readonly client: TLSSocket
  readonly server: TLSSocket
  readonly shown: ShownCertificate | undefined
}

/** Both ends of a connection after its handshake. */
async function connect(
  { serverTls, field = 'rfc822Name', asksCertificate = true }: Side,
  options: ConnectionOptions,
): Promise<Ends> {
  const listener = createServer()
  const { promise: accepted, resolve, reject } = Promise.withResolvers<Omit<Ends, 'client'>>()
  listener.on('connection', (raw) => {
    acceptTls(raw, { serverTls, asksCertificate }, (server) => {
      if (!(server instanceof TLSSocket)) reject(new Error('no handshake'))
      else resolve({ server, shown: shownCertificate(server, field) })
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const peer = await Peer.connect((listener.address() as AddressInfo).port)
  listener.close()
  const trust = { ca: authority.ca, servername: 'mx1.example.com' }
  const client = await peer.startTls({ ...trust, ...options })
  return { client, ...(await accepted) }
}

/** One handshake, seen from the server. */
async function shake(side: Side, options: ConnectionOptions): Promise<Shaken> {
  const { client, server: socket, shown } = await connect(side, options)
  // By TLS 1.3 tickets come after the handshake.
  const tickets: Buffer[] = []
  client.on('session', (ticket: Buffer) => void tickets.push(ticket))
  socket.write('hello')
  await once(client, 'data')
  const isResumed = socket.isSessionReused()
  assert.equal(client.isSessionReused(), isResumed)
  const ticket = tickets[0] ?? Buffer.from(client.getSession() ?? '')
  client.destroy()
  socket.destroy()
  return { shown, isResumed, ticket }
}

async function shownBy(
  certificate: IssuedCertificate,
  side: Partial<Side> = {},
): Promise<ShownCertificate | undefined> {
  const { shown } = await shake({ serverTls: contexts(authority.ca), ...side }, { ...certificate })
  return shown
}

/** One name of a subjectAltName by its tag (rfc822Name 0x81, dNSName 0x82), as openssl's config has DER. */
function der(tag: number, text: string): string {
  const name = Buffer.from(text, 'latin1')
  const octets = Buffer.of(0x30, name.length + 2, tag, name.length, ...name)
  return `DER:${octets.toString('hex').replace(/(?=(?:..)+$)(?!^)/g, ':')}`
}

test('names are those of the field that is asked for, and all of them', async () => {
  const certificate = authority.issueClient({
    subject: '/CN=Ann/emailAddress=ann@example.org/emailAddress=second@example.org',
    alternatives: '@names',
    extensions: [
      '[names]',
      'DNS=example.net',
      'email.1=ann@example.com',
      'otherName.1=1.3.6.1.5.5.7.8.9;FORMAT:UTF8,UTF8:añn@example.com',
      'URI=mailto:eve@example.com',
      'IP=127.0.0.1',
      'email.2=info@example.com',
      'dirName=other',
      'otherName.2=1.3.6.1.4.1.311.20.2.3;UTF8:eve@example.com',
      '[other]',
      'CN=eve@example.com',
      'emailAddress=eve@example.com',
    ],
  })
  for (const [field, names] of [
    ['rfc822Name', ['ann@example.com', 'añn@example.com', 'info@example.com']],
    ['emailAddress', ['ann@example.org', 'second@example.org']],
    ['commonName', ['Ann']],
  ] as const) {
    assert.deepEqual(await shownBy(certificate, { field }), { fault: undefined, field, names })
  }
})

test('a field that is not there has no names', async () => {
  const certificate = authority.issueClient({ subject: '/CN=somebody' })
  for (const field of ['rfc822Name', 'emailAddress'] as const) {
    assert.deepEqual(await shownBy(certificate, { field }), { fault: undefined, field, names: [] })
  }
})

test('no name is cut short, and none becomes two', async () => {
  for (const [tag, text, names] of [
    [0x81, 'ann\0@example.com', ['ann\0@example.com']],
    [0x81, 'ann@example.com\0.example.net', ['ann@example.com\0.example.net']],
    [0x81, 'x, email:ann@example.com', ['x, email:ann@example.com']],
    [0x81, 'x", email:ann@example.com', ['x", email:ann@example.com']],
    [0x81, 'a\\n\r\n\x7fb', ['a\\n\r\n\x7fb']],
    [0x82, 'x, email:ann@example.com', []],
    [0x82, '", email:ann@example.com, "', []],
    [0x86, 'x, email:ann@example.com', []],
    [0x81, '', ['']],
  ] as const) {
    const certificate = authority.issueClient({ alternatives: der(tag, text) })
    assert.deepEqual((await shownBy(certificate))?.names, names, JSON.stringify(text))
  }
})

for (const [what, certificate, fault] of [
  [
    'of another authority',
    () => stranger.issueClient({ alternatives: 'email:a@example.com' }),
    /./,
  ],
  [
    'that is forged',
    () => makeImpostor(authority).issueClient({ alternatives: 'email:a@example.com' }),
    /^CERT_SIGNATURE_FAILURE$/,
  ],
  ['that has expired', () => client({ days: -1 }), /^CERT_HAS_EXPIRED$/],
  ['of a server', () => client({ extensions: ['extendedKeyUsage=serverAuth'] }), /PURPOSE/],
] as const) {
  for (const maxVersion of versions) {
    test(`${maxVersion}: a certificate ${what} proves nothing, and the handshake goes on`, async () => {
      const serverTls = contexts(authority.ca)
      const first = await shake({ serverTls }, { ...certificate(), maxVersion })
      assert.match(first.shown?.fault ?? '', fault)
      assert.deepEqual(first.shown?.names, [])
      const session = first.ticket
      const again = await shake({ serverTls }, { maxVersion, session })
      assert.equal(again.isResumed, true)
      assert.match(again.shown?.fault ?? '', fault)
      assert.deepEqual(again.shown?.names, [])
    })
  }
}

function client(more: ClientCertificate = {}): IssuedCertificate {
  return authority.issueClient({ alternatives: 'email:ann@example.com', ...more })
}

for (const maxVersion of versions) {
  test(`${maxVersion}: a session that is resumed has the certificate that it began with`, async () => {
    const begun = await shake({ serverTls: contexts(authority.ca) }, { ...client(), maxVersion })
    // Another worker has contexts of its own; what the client would show now is not asked for.
    const eve = client({ alternatives: 'email:eve@example.com' })
    for (const options of [{}, eve]) {
      const side = { serverTls: contexts(authority.ca) }
      const again = await shake(side, { ...options, maxVersion, session: begun.ticket })
      assert.equal(again.isResumed, true)
      assert.deepEqual(again.shown, {
        fault: undefined,
        field: 'rfc822Name',
        names: ['ann@example.com'],
      })
    }
  })

  test(`${maxVersion}: one that began without a certificate has none when it is resumed`, async () => {
    const serverTls = contexts(authority.ca)
    for (const asksCertificate of [true, false]) {
      const options = asksCertificate ? {} : client()
      const begun = await shake({ serverTls, asksCertificate }, { ...options, maxVersion })
      assert.equal(begun.shown, undefined)
      const again = await shake({ serverTls }, { ...client(), maxVersion, session: begun.ticket })
      assert.equal(again.isResumed, true)
      assert.equal(again.shown, undefined)
    }
  })

  test(`${maxVersion}: with other authorities no session from before is resumed`, async () => {
    const begun = await shake({ serverTls: contexts(authority.ca) }, { ...client(), maxVersion })
    for (const ca of [stranger.ca, authority.ca + stranger.ca]) {
      const again = await shake({ serverTls: contexts(ca) }, { maxVersion, session: begun.ticket })
      assert.equal(again.isResumed, false)
      assert.equal(again.shown, undefined)
    }
  })

  test(`${maxVersion}: a certificate that expires ends what its sessions prove`, async (t: TestContext) => {
    const serverTls = contexts(authority.ca)
    const begun = await shake({ serverTls }, { ...client({ days: 1 }), maxVersion })
    assert.equal(begun.shown?.fault, undefined)
    t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 2 * 86_400_000 })
    const again = await shake({ serverTls }, { maxVersion, session: begun.ticket })
    assert.equal(again.isResumed, true)
    assert.deepEqual(again.shown, { fault: 'CERT_HAS_EXPIRED', field: 'rfc822Name', names: [] })
  })
}

test('authorities are those of the file alone: those above them vouch for nobody', async () => {
  const below = authority.subordinate('below')
  const other = authority.subordinate('other')
  const alternatives = 'email:ann@example.com'
  const serverTls = contexts(below.ca)
  for (const [issuer, chain, isBelieved] of [
    [below, '', true],
    [below, below.ca + authority.ca, true],
    [other, other.ca, false],
    [other, other.ca + authority.ca, false],
    [authority, '', false],
  ] as const) {
    const { cert, key } = issuer.issueClient({ alternatives })
    const shown = await shownBy({ cert: cert + chain, key }, { serverTls })
    assert.equal(shown?.fault === undefined, isBelieved)
  }
  // From the top it is one chain.
  const { cert, key } = other.issueClient({ alternatives })
  assert.equal((await shownBy({ cert: cert + other.ca, key }))?.fault, undefined)
})

test('who is no authority vouches for nobody', async () => {
  const { cert, key } = client({ extensions: ['basicConstraints=CA:FALSE'] })
  const forged = makeAuthority().issueClient({ alternatives: 'email:eve@example.com' })
  const shown = await shownBy({ cert: forged.cert + cert, key: forged.key })
  assert.notEqual(shown?.fault, undefined)
  assert.ok(key.length > 0)
})

test('a file that is not certificates alone is refused', () => {
  const { ca } = authority
  for (const bad of [
    '',
    'no PEM',
    client().key,
    `${ca}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`,
    `${ca}${ca.slice(0, 200)}`,
  ]) {
    assert.throws(
      () => contexts(bad),
      (error) => error instanceof MailmuxError && error.code === 'TLS_UNUSABLE',
      bad,
    )
  }
  assert.ok(contexts(`# ours\n${ca}\n${stranger.ca}`))
})

test('a certificate that is revoked proves nothing, and neither does one of which nobody can tell', async () => {
  const [good, bad] = [client(), client()]
  const below = authority.subordinate('below')
  const deep = below.issueClient({ alternatives: 'email:ann@example.com' })
  const chain = { cert: deep.cert + below.ca, key: deep.key }
  const [lists, ofBelow] = [authority.revocations([bad]), below.revocations([])]
  for (const [certificate, crl, fault] of [
    [good, lists, undefined],
    [bad, lists, 'CERT_REVOKED'],
    [bad, ofBelow + lists, 'CERT_REVOKED'],
    [chain, lists, 'UNABLE_TO_GET_CRL'],
    [chain, lists + ofBelow, undefined],
    [chain, authority.revocations([{ cert: below.ca }]) + ofBelow, 'CERT_REVOKED'],
    [good, makeAuthority('elsewhere').revocations([]), 'UNABLE_TO_GET_CRL'],
    [good, makeImpostor(authority).revocations([]), 'CRL_SIGNATURE_FAILURE'],
    [good, authority.revocations([], -1), 'CRL_HAS_EXPIRED'],
  ] as const) {
    const shown = await shownBy(certificate, { serverTls: contexts(authority.ca, crl) })
    assert.equal(shown?.fault, fault)
  }
})

for (const maxVersion of versions) {
  test(`${maxVersion}: with another revocation list no session from before is resumed`, async () => {
    const certificate = client()
    const [none, one] = [authority.revocations([]), authority.revocations([certificate])]
    const serverTls = contexts(authority.ca, none)
    const begun = await shake({ serverTls }, { ...certificate, maxVersion })
    assert.equal(begun.shown?.fault, undefined)
    const session = begun.ticket
    const again = await shake({ serverTls: contexts(authority.ca, none) }, { maxVersion, session })
    assert.equal(again.isResumed, true)
    const revoked = { serverTls: contexts(authority.ca, one) }
    const late = await shake(revoked, { ...certificate, maxVersion, session })
    assert.equal(late.isResumed, false)
    assert.equal(late.shown?.fault, 'CERT_REVOKED')
  })
}

test('with revocation lists the authorities must go up to the top, or no list could be believed', () => {
  const below = authority.subordinate('below')
  const lists = below.revocations([]) + authority.revocations([])
  assert.throws(() => contexts(below.ca, lists), /CN=below: who has signed it is not among them/)
  assert.ok(contexts(below.ca + authority.ca, lists))
  assert.ok(contexts(below.ca))
})

test('a file that is not revocation lists alone is refused', () => {
  const list = authority.revocations([])
  const damaged = '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n'
  for (const bad of ['', 'no PEM', authority.ca, list + authority.ca, list + damaged]) {
    assert.throws(
      () => contexts(authority.ca, bad),
      (error) => error instanceof MailmuxError && error.code === 'TLS_UNUSABLE',
      bad,
    )
  }
})

test('services whose clients are nobody ask none', () => {
  const tls = createServerTls([server], 'TLSv1.2', { ca: authority.ca, crl: undefined })
  const service = { name: 'smtp', alpn: 'smtp', ticketKey: randomBytes(48) }
  assert.equal(tls.forService(service).takesCertificates, false)
  assert.equal(tls.forService(own).takesCertificates, true)
  assert.equal(
    createServerTls([server], 'TLSv1.2').forService(own).takesCertificates,
    false,
    'without authorities',
  )
})
