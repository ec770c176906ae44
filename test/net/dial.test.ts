import assert from 'node:assert/strict'
import { createHash, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { before, test } from 'node:test'
import {
  createSecureContext,
  createServer as createTlsServer,
  type SecureContext,
  TLSSocket,
} from 'node:tls'
import type { TlsMode } from '../../src/config/config.ts'
import type { Connection } from '../../src/net/connection.ts'
import {
  type DialResult,
  dial,
  type Inlet,
  type Preface,
  type Trust,
  trustIn,
  upgrade,
} from '../../src/net/dial.ts'
import { DirectSocket } from '../../src/net/direct/direct-socket.ts'
import { createBackendTls } from '../../src/net/tls.ts'
import { type Authority, type IssuedCertificate, makeAuthority } from '../support/certificates.ts'
import { ScriptedBackend } from '../support/peer.ts'

let authority: Authority
let certificate: IssuedCertificate
let context: SecureContext

before(() => {
  authority = makeAuthority()
  certificate = authority.issue(['fritz.example.com', '127.0.0.1'])
  context = createBackendTls(authority.ca)
})

const trustOf = (name = 'fritz.example.com'): Trust => ({ context, name })

function dialTo(
  port: number,
  tls: TlsMode = 'none',
  {
    trust = trustOf(),
    timeoutMs = 5000,
    host = '127.0.0.1',
    inlet = undefined as Inlet | undefined,
    preface: head = undefined as Preface | undefined,
  } = {},
): Promise<DialResult> {
  return new Promise((resolve) => {
    dial({ endpoint: { host, port, tls }, trust, timeoutMs, inlet, preface: head }, resolve)
  })
}

function upgradeOf(socket: Connection, trust = trustOf(), timeoutMs = 5000): Promise<DialResult> {
  return new Promise((resolve) => {
    upgrade({ socket, trust, timeoutMs }, resolve)
  })
}

function opened(result: DialResult): Connection {
  assert(result.ok, JSON.stringify(result))
  return result.socket
}

function failed(result: DialResult): string {
  assert(!result.ok)
  assert.notEqual(result.failure.detail, '')
  return `${result.failure.step} ${result.failure.reason}`
}

/** Reads into a small buffer that the next read overwrites, and keeps the text. */
class Collector implements Inlet {
  text = ''
  readonly #buffer = Buffer.alloc(4)
  readonly #wanted: string
  readonly #done: () => void

  constructor(wanted: string, done: () => void) {
    this.#wanted = wanted
    this.#done = done
  }

  readBuffer(): Buffer {
    return this.#buffer
  }

  take(length: number, buffer: Buffer): boolean {
    this.text += buffer.toString('latin1', 0, length)
    if (this.text === this.#wanted) this.#done()
    return true
  }
}

for (const tls of ['none', 'implicit'] as const) {
  test(`bytes reach the inlet in its own buffer (TLS: ${tls})`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      if (tls === 'implicit') await peer.acceptTls(certificate)
      peer.send('* OK ready to serve\r\n')
    })
    const { promise, resolve } = Promise.withResolvers<void>()
    const inlet = new Collector('* OK ready to serve\r\n', resolve)
    const socket = opened(await dialTo(backend.port, tls, { inlet }))
    await promise
    socket.destroy()
    assert.deepEqual(backend.failures, [])
  })
}

test('a connection is upgraded, and then verified and read as TLS', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.expect(/STARTTLS\r\n/)
    peer.send('+OK\r\n')
    await peer.acceptTls(certificate)
    peer.send('secret\r\n')
  })
  const { promise, resolve } = Promise.withResolvers<void>()
  const goAhead = Promise.withResolvers<void>()
  const plain = new Collector('+OK\r\n', goAhead.resolve)
  const socket = opened(await dialTo(backend.port, 'starttls', { inlet: plain }))
  socket.write('STARTTLS\r\n')
  await goAhead.promise
  const inlet = new Collector('secret\r\n', resolve)
  const result = await new Promise<DialResult>((settle) => {
    upgrade({ socket, trust: trustOf(), timeoutMs: 5000, inlet }, settle)
  })
  await promise
  assert.equal(plain.text, '+OK\r\n')
  opened(result).destroy()
})

test('a name that resolves to nothing, a port where nobody listens: refused', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const bound = server.address()
  assert(bound !== null && typeof bound === 'object')
  server.close()
  await once(server, 'close')
  assert.equal(failed(await dialTo(bound.port)), 'connect refused')
  assert.equal(failed(await dialTo(bound.port, 'implicit')), 'connect refused')
  assert.equal(failed(await dialTo(25, 'none', { host: 'nobody.invalid' })), 'connect refused')
})

test('every address of a name is tried', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('hello\r\n')
    await peer.end()
  })
  // The back-end listens on 127.0.0.1 only; localhost may mean ::1 as well.
  opened(await dialTo(backend.port, 'none', { host: 'localhost' })).destroy()
})

test('a TLS back-end that says nothing fails by timeout', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.end().catch(() => undefined)
  })
  assert.equal(failed(await dialTo(backend.port, 'implicit', { timeoutMs: 100 })), 'tls timeout')
  const socket = opened(await dialTo(backend.port))
  assert.equal(failed(await upgradeOf(socket, trustOf(), 100)), 'tls timeout')
  assert.equal(socket.destroyed, true)
})

test('plain text where TLS is due, and a close in the handshake, fail the handshake', async () => {
  await using backend = await ScriptedBackend.start(async (peer, number) => {
    if (number === 0) peer.send('* OK IMAP4rev1 ready\r\n')
    else peer.socket.destroy()
  })
  assert.equal(failed(await dialTo(backend.port, 'implicit')), 'tls tls_handshake')
  assert.equal(failed(await dialTo(backend.port, 'implicit')), 'tls tls_handshake')
})

const certificateCases = {
  'another authority': () => ({ issued: makeAuthority('other').issue(['fritz.example.com']) }),
  'another name': () => ({ issued: authority.issue(['ingrid.example.com']) }),
  'an expired certificate': () => ({ issued: authority.issue(['fritz.example.com'], -2) }),
  'a name where an address is declared': () => ({
    issued: authority.issue(['fritz.example.com']),
    name: '127.0.0.1',
  }),
  'a key that is too short': () => {
    const alternatives = 'DNS:fritz.example.com'
    const weak = authority.issueClient({ alternatives, kind: 'rsa:1024' })
    // Who has one must be allowed to show it.
    return { issued: { ...weak, ciphers: 'DEFAULT@SECLEVEL=0' } }
  },
  'an address that is another': () => ({ issued: certificate, name: '127.0.0.2' }),
}

for (const [what, make] of Object.entries(certificateCases)) {
  test(`${what} is refused before anything is sent`, async () => {
    const { issued, name } = { name: undefined, ...make() }
    let data = ''
    await using backend = await ScriptedBackend.start(async (peer, number) => {
      if (number === 1) {
        await peer.expect(/STARTTLS\r\n/)
        peer.send('+OK\r\n')
      }
      await peer.acceptTls(issued).catch(() => undefined)
      peer.socket.on('data', (chunk: Buffer) => {
        data += chunk.toString('latin1')
      })
      await peer.end().catch(() => undefined)
    })
    const trust = trustOf(name)
    assert.equal(failed(await dialTo(backend.port, 'implicit', { trust })), 'tls cert')
    const socket = opened(await dialTo(backend.port, 'starttls', { trust }))
    socket.write('STARTTLS\r\n')
    socket.resume()
    await once(socket, 'data')
    assert.equal(failed(await upgradeOf(socket, trust)), 'tls cert')
    assert.equal(data, '')
  })
}

/** What `openssl x509 -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256` makes of it. */
function pinOf({ cert }: IssuedCertificate): string {
  const spki = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
  return `sha256//${createHash('sha256').update(spki).digest('base64')}`
}

const otherPin = `sha256//${'A'.repeat(43)}=`

for (const tls of ['implicit', 'starttls'] as const) {
  const connect = async (port: number, trust: Trust | undefined): Promise<DialResult> => {
    const result = await dialTo(port, tls, { trust: trust ?? trustOf() })
    if (tls === 'implicit' || trust === undefined) return result
    const socket = opened(result)
    socket.write('STARTTLS\r\n')
    socket.resume()
    await once(socket, 'data')
    return upgradeOf(socket, trust)
  }
  const serve = (issued: IssuedCertificate): Promise<ScriptedBackend> =>
    ScriptedBackend.start(async (peer) => {
      if (tls === 'starttls') {
        await peer.expect(/STARTTLS\r\n/)
        peer.send('+OK\r\n')
      }
      await peer.acceptTls(issued).catch(() => undefined)
      await peer.end().catch(() => undefined)
    })
  const pinned = (pins: readonly string[], name: string, tlsCaFile?: string): Trust | undefined =>
    trustIn({ tlsName: name, tlsPins: pins, tlsCaFile }, context)

  test(`${tls}: a pinned key is believed whoever signed it, and no other key`, async () => {
    const stranger = makeAuthority('other').issue(['localhost'])
    await using backend = await serve(stranger)
    const pins = [otherPin, pinOf(stranger)]
    opened(await connect(backend.port, pinned(pins, 'fritz.example.com'))).destroy()
    const result = await connect(backend.port, pinned([otherPin], 'fritz.example.com'))
    assert.equal(failed(result), 'tls cert')
    assert.ok(!result.ok && result.failure.detail.includes(pinOf(stranger)))
  })

  test(`${tls}: where authorities are named besides a pin, both must hold`, async () => {
    await using backend = await serve(certificate)
    const [pin, name, ca] = [pinOf(certificate), 'fritz.example.com', 'ca.pem']
    opened(await connect(backend.port, pinned([pin], name, ca))).destroy()
    for (const trust of [pinned([otherPin], name, ca), pinned([pin], 'ingrid.example.com', ca)]) {
      assert.equal(failed(await connect(backend.port, trust)), 'tls cert')
    }
    const stranger = makeAuthority('other').issue([name])
    await using elsewhere = await serve(stranger)
    const trust = pinned([pinOf(stranger)], name, ca)
    assert.equal(failed(await connect(elsewhere.port, trust)), 'tls cert')
  })
}

test('a back-end that asks who we are is shown the certificate that is configured', async () => {
  const own = authority.issue(['mx1.example.com'])
  const wanted = { ...certificate, ca: authority.ca, requestCert: true, rejectUnauthorized: true }
  const server = createTlsServer(wanted)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const dialled = (client?: IssuedCertificate): Promise<DialResult> => {
    const trust = { context: createBackendTls(authority.ca, client), name: 'fritz.example.com' }
    return dialTo(port, 'implicit', { trust })
  }
  const taken = once(server, 'secureConnection') as Promise<[TLSSocket]>
  const socket = opened(await dialled(own))
  const [peer] = await taken
  assert.equal(peer.getPeerCertificate().subject.CN, 'mx1.example.com')
  peer.destroy()
  socket.destroy()
  const refused = once(server, 'tlsClientError')
  const result = await dialled()
  await refused
  // By TLS 1.3 a client hears of its refusal after the handshake.
  if (result.ok) result.socket.destroy()
  server.close()
  const other = authority.issue(['mx2.example.com'])
  assert.throws(
    () => createBackendTls(authority.ca, { cert: own.cert, key: other.key }),
    /they do not belong together/,
  )
})

test('a certificate for an address vouches for that address, without SNI', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.acceptTls(certificate)
  })
  const socket = await dialTo(backend.port, 'implicit', { trust: trustOf('127.0.0.1') })
  opened(socket).destroy()
})

test('bytes injected before the handshake fail it', async () => {
  const sent = Promise.withResolvers<void>()
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.socket.write('+OK\r\n+OK logged in\r\n', () => sent.resolve())
    await peer.acceptTls(certificate).catch(() => undefined)
  })
  const socket = opened(await dialTo(backend.port))
  // Arrived in plain text, not yet read when TLS begins: a direct socket leaves it to the kernel.
  if (!(socket instanceof DirectSocket)) await once(socket, 'readable')
  await sent.promise
  assert.equal(failed(await upgradeOf(socket)), 'tls tls_handshake')
})

test('a cancelled connection is destroyed and tells nothing', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.end()
  })
  let told = 0
  const endpoint = { host: '127.0.0.1', port: backend.port, tls: 'implicit' } as const
  const cancel = dial({ endpoint, trust: trustOf(), timeoutMs: 5000 }, () => told++)
  while (backend.peers.length === 0) await new Promise((resolve) => setImmediate(resolve))
  cancel()
  await backend.peers[0]?.end()
  assert.equal(told, 0)
})

/** A back-end that takes `HEAD` in clear text, and then says hello; inside TLS where it is asked to. */
async function behindPreface(
  tls: 'none' | 'implicit',
): Promise<AsyncDisposable & { port: number }> {
  const sockets: Socket[] = []
  const server = createServer((plain) => {
    sockets.push(plain.on('error', () => undefined))
    plain.once('readable', () => {
      assert.equal(String(plain.read(6)), 'HEAD\r\n')
      const secureContext = createSecureContext(certificate)
      const socket =
        tls === 'none' ? plain : new TLSSocket(plain, { isServer: true, secureContext })
      socket.on('error', () => undefined).write('hello\r\n')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    port,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

const preface: Preface = () => Buffer.from('HEAD\r\n')

for (const tls of ['none', 'implicit'] as const) {
  test(`a preface comes before everything else (TLS: ${tls})`, async () => {
    await using backend = await behindPreface(tls)
    const socket = opened(await dialTo(backend.port, tls, { preface }))
    socket.resume()
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    assert.equal(chunk.toString(), 'hello\r\n')
    socket.destroy()
  })
}

test('a back-end with a wrong name is refused after a preface too', async () => {
  await using backend = await behindPreface('implicit')
  const trust = trustOf('ingrid.example.com')
  assert.equal(failed(await dialTo(backend.port, 'implicit', { preface, trust })), 'tls cert')
})

test('a back-end that is silent after a preface fails by timeout', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.expect(/^HEAD\r\n/)
  })
  const result = await dialTo(backend.port, 'implicit', { preface, timeoutMs: 200 })
  assert.equal(failed(result), 'tls timeout')
})
