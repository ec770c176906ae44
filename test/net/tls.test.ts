import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { before, test } from 'node:test'
import { type ConnectionOptions, type SecureVersion, TLSSocket } from 'node:tls'
import { MailmuxError } from '../../src/base/error.ts'
import { acceptTls } from '../../src/net/accept-tls.ts'
import type { Connection } from '../../src/net/connection.ts'
import type { Listener } from '../../src/net/listener.ts'
import { createBackendTls, createServerTls, type TlsService } from '../../src/net/tls.ts'
import { listenDirectly } from '../support/accepted.ts'
import { type Authority, type IssuedCertificate, makeAuthority } from '../support/certificates.ts'
import { clientHello } from '../support/client-hello.ts'
import { Peer } from '../support/peer.ts'

let authority: Authority
let first: IssuedCertificate
let second: IssuedCertificate

before(() => {
  authority = makeAuthority()
  first = authority.issue(['mx1.example.com'])
  second = authority.issue(['imap.example.net', '*.example.org'])
})

const imap: TlsService = { name: 'imap', alpn: 'imap', ticketKey: randomBytes(48) }

/** A server that takes every connection's handshake. */
class Acceptor implements AsyncDisposable {
  readonly accepted: (Connection | undefined)[] = []
  readonly raw: Connection[] = []
  readonly #listener: Promise<Listener>
  #wake: () => void = () => undefined

  constructor(minVersion: SecureVersion = 'TLSv1.2', service: TlsService = imap) {
    const serverTls = createServerTls([first, second], minVersion).forService(service)
    this.#listener = listenDirectly((socket) => {
      this.raw.push(socket)
      acceptTls(socket, { serverTls, asksCertificate: false }, (secured) => {
        secured?.on('error', () => undefined)
        secured?.resume()
        this.accepted.push(secured)
        this.#wake()
      })
    })
  }

  async connect(): Promise<Peer> {
    return Peer.connect((await this.#listener).port)
  }

  /** The result of the first handshake. */
  async result(): Promise<Connection | undefined> {
    while (this.accepted.length === 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    return this.accepted[0]
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of [...this.accepted, ...this.raw]) socket?.destroy()
    ;(await this.#listener).close()
  }
}

async function shake(acceptor: Acceptor, options: ConnectionOptions): Promise<TLSSocket> {
  const peer = await acceptor.connect()
  return peer.startTls({ ca: authority.ca, ...options })
}

test('the certificate follows the name that the client asks for', async () => {
  const names = {
    'mx1.example.com': 'mx1.example.com',
    'imap.example.net': 'imap.example.net',
    'a.example.org': 'imap.example.net',
    'unknown.example.com': 'mx1.example.com',
  }
  for (const [asked, shown] of Object.entries(names)) {
    await using acceptor = new Acceptor()
    const socket = await shake(acceptor, {
      servername: asked,
      checkServerIdentity: () => undefined,
    })
    assert.equal(socket.getPeerCertificate().subject.CN, shown, asked)
    socket.destroy()
  }
  await using acceptor = new Acceptor()
  const socket = await shake(acceptor, { checkServerIdentity: () => undefined })
  assert.equal(socket.getPeerCertificate().subject.CN, 'mx1.example.com')
  socket.destroy()
})

test('a name that is none gets the first certificate, or an end, and no name costs memory', async () => {
  await using acceptor = new Acceptor()
  const hello = await clientHello({ servername: 'a'.repeat(200) })
  const start = hello.indexOf('a'.repeat(200))
  const tried = ['../../etc/passwd', '\\\0x', '%n%s', '\r\n', '*', '.', '\xff'].map((text) => {
    const bytes = Buffer.from(hello)
    bytes.fill(text, start, start + 200, 'latin1')
    return bytes
  })
  // A length that says more than there is.
  const overlong = Buffer.from(hello)
  overlong.writeUInt16BE(0xffff, start - 2)
  for (const bytes of [...tried, overlong]) {
    using peer = await acceptor.connect()
    peer.send(bytes)
    // A handshake goes on with a record of its own, and is refused by an alert.
    const [start] = await peer.expect(/^[^]{2}/)
    assert.ok(['\x15\x03', '\x16\x03'].includes(start), start)
  }
  const names = Array.from({ length: 300 }, (_, number) => `${number}.${'a'.repeat(60)}.example`)
  for (const servername of names) {
    const socket = await shake(acceptor, { servername, checkServerIdentity: () => undefined })
    assert.equal(socket.getPeerCertificate().subject.CN, 'mx1.example.com')
    socket.destroy()
  }
  // All of them by the one context that there is.
  const tls = createServerTls([first, second], 'TLSv1.2').forService(imap)
  const contexts = new Set(names.map((name) => tls.contextFor(name)))
  assert.deepEqual([...contexts], [tls.defaultContext])
})

test('cheap ciphers and groups come first', async () => {
  await using acceptor = new Acceptor()
  const socket = await shake(acceptor, { servername: 'mx1.example.com' })
  assert.equal(socket.getCipher().name, 'TLS_AES_128_GCM_SHA256')
  assert.deepEqual(socket.getEphemeralKeyInfo(), { type: 'ECDH', name: 'X25519', size: 253 })
  socket.destroy()
})

test('TLS 1.2 clients get an AEAD cipher and may not renegotiate', async () => {
  await using acceptor = new Acceptor()
  const socket = await shake(acceptor, { servername: 'mx1.example.com', maxVersion: 'TLSv1.2' })
  assert.equal(socket.getProtocol(), 'TLSv1.2')
  assert.match(socket.getCipher().name, /^ECDHE-ECDSA-AES128-GCM-SHA256$/)
  const error = await new Promise<Error | null>((resolve) => {
    socket.on('error', resolve)
    socket.renegotiate({ rejectUnauthorized: false }, resolve)
  })
  assert.match(String(error), /no.renegotiation/i)
  socket.destroy()
})

test('the least version that is configured holds', async () => {
  await using acceptor = new Acceptor('TLSv1.3')
  await assert.rejects(shake(acceptor, { servername: 'mx1.example.com', maxVersion: 'TLSv1.2' }))
  assert.equal(await acceptor.result(), undefined)
})

/** Ends a session at `from`, and says whether `to` resumes it. */
async function isResumed(
  from: Acceptor,
  to: Acceptor,
  options: ConnectionOptions,
): Promise<boolean> {
  const named = { servername: 'imap.example.net', ...options }
  const socket = await shake(from, named)
  // By TLS 1.3 tickets come after the handshake.
  const tickets: Buffer[] = []
  socket.on('session', (ticket: Buffer) => void tickets.push(ticket))
  const server = await from.result()
  server?.write('hello')
  await once(socket, 'data')
  const session = tickets[0] ?? Buffer.from(socket.getSession() ?? '')
  socket.destroy()
  const again = await shake(to, { ...named, session })
  // A certificate that was seen once is not sent again.
  assert.equal(again.authorized, true)
  const resumed = again.isSessionReused()
  const other = await to.result()
  // A direct one does not tell.
  if (other instanceof TLSSocket) assert.equal(other.isSessionReused(), resumed)
  again.destroy()
  return resumed
}

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${maxVersion}: sessions are resumed by another worker, and at no other service`, async () => {
    for (const [service, resumed] of [
      [{ ...imap }, true],
      [{ ...imap, name: 'submission' }, false],
      [{ ...imap, ticketKey: randomBytes(48) }, false],
    ] as const) {
      await using one = new Acceptor('TLSv1.2')
      await using two = new Acceptor('TLSv1.2', service)
      assert.equal(await isResumed(one, two, { maxVersion }), resumed)
    }
  })

  test(`${maxVersion}: who offers protocols, and not this one, is refused`, async () => {
    for (const [offered, agreed] of [
      [['imap'], 'imap'],
      [['h2', 'imap'], 'imap'],
      [['h2', 'http/1.1'], undefined],
      [['pop3'], undefined],
    ] as const) {
      await using acceptor = new Acceptor()
      const options = { servername: 'mx1.example.com', maxVersion, ALPNProtocols: [...offered] }
      if (agreed === undefined) {
        await assert.rejects(shake(acceptor, options), /no application protocol/)
        assert.equal(await acceptor.result(), undefined)
        continue
      }
      const socket = await shake(acceptor, options)
      assert.equal(socket.alpnProtocol, agreed)
      socket.destroy()
    }
  })
}

test('a service has new contexts when its tickets have a new key, and no others', () => {
  const tls = createServerTls([first], 'TLSv1.2')
  const before = tls.forService(imap)
  assert.equal(tls.forService({ ...imap, ticketKey: Buffer.from(imap.ticketKey) }), before)
  assert.notEqual(tls.forService({ ...imap, name: 'pop3' }).defaultContext, before.defaultContext)
  assert.equal(tls.forService(imap), before)
  assert.notEqual(tls.forService({ ...imap, ticketKey: randomBytes(48) }), before)
})

test('bytes that are no handshake end the connection', async () => {
  await using acceptor = new Acceptor()
  using peer = await acceptor.connect()
  peer.send('a LOGIN ann secret\r\n')
  assert.equal(await acceptor.result(), undefined)
  await peer.end()
  assert.equal(acceptor.raw[0]?.destroyed, true)
})

test('a client that closes, or resets, in its handshake is told as a failure', async () => {
  for (const leave of ['end', 'resetAndDestroy'] as const) {
    await using acceptor = new Acceptor()
    const peer = await acceptor.connect()
    // The first bytes of a ClientHello.
    peer.send(Buffer.from('1603010200010001fc0303', 'hex'))
    peer.socket[leave]()
    assert.equal(await acceptor.result(), undefined)
  }
})

test('a silent client is cut off when the handshake has taken too long', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using acceptor = new Acceptor()
  using peer = await acceptor.connect()
  while (acceptor.raw.length === 0) await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(9_999)
  assert.equal(acceptor.accepted.length, 0)
  t.mock.timers.tick(1)
  assert.deepEqual(acceptor.accepted, [undefined])
  t.mock.timers.reset()
  await peer.end()
})

test('a hello that comes octet by octet has no longer than one that does not come', async (t) => {
  const hello = await clientHello({ servername: 'mx1.example.com' })
  t.mock.timers.enable({ apis: ['setTimeout'] })
  await using acceptor = new Acceptor()
  using peer = await acceptor.connect()
  while (acceptor.raw.length === 0) await new Promise((resolve) => setImmediate(resolve))
  for (let second = 0; second < 10; second++) {
    assert.equal(acceptor.accepted.length, 0)
    await new Promise((resolve) => peer.socket.write(hello.subarray(second, second + 1), resolve))
    await new Promise((resolve) => setImmediate(resolve))
    t.mock.timers.tick(1_000)
  }
  assert.deepEqual(acceptor.accepted, [undefined])
  t.mock.timers.reset()
  await peer.end()
})

test('a damaged record after the handshake ends the connection', async () => {
  await using acceptor = new Acceptor()
  const peer = await acceptor.connect()
  const { socket: raw } = peer
  await peer.startTls({ ca: authority.ca, servername: 'mx1.example.com' })
  const secured = await acceptor.result()
  assert(secured !== undefined)
  const closed = new Promise((resolve) => secured.once('close', resolve))
  raw.write(Buffer.from('1703030020'.padEnd(74, '0'), 'hex'))
  await closed
  peer.socket.destroy()
})

function unusable(make: () => unknown): void {
  assert.throws(make, (error) => error instanceof MailmuxError && error.code === 'TLS_UNUSABLE')
}

test('what cannot be used is refused with its reason', () => {
  const other = authority.issue(['mx2.example.com'])
  unusable(() => createServerTls([], 'TLSv1.2'))
  unusable(() => createServerTls([{ cert: first.cert, key: other.key }], 'TLSv1.2'))
  unusable(() => createServerTls([{ cert: 'no PEM', key: first.key }], 'TLSv1.2'))
  unusable(() => createServerTls([{ cert: first.cert, key: '' }], 'TLSv1.2'))
  unusable(() => createBackendTls('no PEM'))
})
