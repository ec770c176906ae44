import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { before, test } from 'node:test'
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import type { TlsMode } from '../../src/config/config.ts'
import {
  type DialResult,
  dial,
  type Inlet,
  type Preface,
  type Trust,
  upgrade,
} from '../../src/net/dial.ts'
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

function upgradeOf(socket: Socket, trust = trustOf(), timeoutMs = 5000): Promise<DialResult> {
  return new Promise((resolve) => {
    upgrade({ socket, trust, timeoutMs }, resolve)
  })
}

function opened(result: DialResult): Socket {
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
    await once(socket, 'data')
    assert.equal(failed(await upgradeOf(socket, trust)), 'tls cert')
    assert.equal(data, '')
  })
}

test('a certificate for an address vouches for that address, without SNI', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.acceptTls(certificate)
  })
  const socket = await dialTo(backend.port, 'implicit', { trust: trustOf('127.0.0.1') })
  opened(socket).destroy()
})

test('bytes injected before the handshake fail it', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('+OK\r\n+OK logged in\r\n')
    await peer.acceptTls(certificate).catch(() => undefined)
  })
  const socket = opened(await dialTo(backend.port))
  // Arrived in plain text, not yet read when TLS begins.
  await once(socket, 'readable')
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
