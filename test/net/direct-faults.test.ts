/** What clients and back-ends may do to a direct socket, and must not get by it. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { before, test } from 'node:test'
import { connect as tlsConnect, type TLSSocket } from 'node:tls'
import { acceptTls } from '../../src/net/accept-tls.ts'
import type { Connection } from '../../src/net/connection.ts'
import { type DialResult, dial, type Inlet, upgrade } from '../../src/net/dial.ts'
import { createBackendTls, createServerTls, type ServiceTls } from '../../src/net/tls.ts'
import { acceptedPair, turn } from '../support/accepted.ts'
import { makeAuthority } from '../support/certificates.ts'
import { clientHello } from '../support/client-hello.ts'
import '../support/direct-sockets.ts'

const authority = makeAuthority()
const certificate = authority.issue(['localhost'])
const trust = { ca: authority.ca, servername: 'localhost' }
let serverTls: ServiceTls

before(() => {
  const imap = { name: 'imap', alpn: 'imap', ticketKey: randomBytes(48) }
  serverTls = createServerTls([certificate], 'TLSv1.2').forService(imap)
})

function securing(raw: Connection): Promise<Connection | undefined> {
  return new Promise((resolve) => {
    acceptTls(raw, { serverTls, asksCertificate: false }, resolve)
  })
}

async function secured(): Promise<{ near: Connection; far: TLSSocket; raw: Socket }> {
  const { near: plain, far: raw } = await acceptedPair()
  const far = tlsConnect({ socket: raw, ...trust })
  far.on('error', () => undefined)
  const near = await securing(plain)
  assert.ok(near)
  near.on('error', () => undefined)
  if (!far.authorized) await once(far, 'secureConnect')
  return { near, far, raw }
}

test('who asks for TLS and has not read what was said before, or is gone, gets none', async () => {
  const slow = await acceptedPair()
  while (slow.near.writableLength === 0) slow.near.write('x'.repeat(100_000))
  assert.equal(await securing(slow.near), undefined)
  assert.ok(slow.near.destroyed)
  const gone = await acceptedPair()
  gone.near.destroy()
  assert.equal(await securing(gone.near), undefined)
  for (const { far } of [slow, gone]) far.destroy()
})

test('a back-end that has not taken what was said gets no TLS', async () => {
  const server = createServer((socket) => socket.pause()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const endpoint = { host: '127.0.0.1', port, tls: 'starttls' } as const
  const context = { context: createBackendTls(authority.ca), name: 'localhost' }
  const dialled = await new Promise<DialResult>((resolve) => {
    dial({ endpoint, trust: context, timeoutMs: 5000 }, resolve)
  })
  assert.ok(dialled.ok)
  const { socket } = dialled
  while (socket.writableLength === 0) socket.write('x'.repeat(100_000))
  const result = await new Promise<DialResult>((resolve) => {
    upgrade({ socket, trust: context, timeoutMs: 5000 }, resolve)
  })
  assert.deepEqual(result.ok ? '' : [result.failure.step, result.failure.reason], ['tls', 'closed'])
  server.close()
})

test('who is destroyed in the middle of what has come hears no more of it, TLS or not', async () => {
  for (const kind of ['plain', 'tls'] as const) {
    const { near, far } = kind === 'plain' ? await acceptedPair() : await secured()
    let heard = 0
    near.on('data', () => {
      heard++
      near.destroy()
      near.resume()
    })
    near.resume()
    for (let word = 0; word < 50; word++) far.write('x y\r\n')
    await new Promise((resolve) => near.once('close', resolve))
    await turn()
    assert.deepEqual([heard, near.isPaused()], [1, true], kind)
    far.destroy()
  }
})

test('a handshake that is Node’s ends with its connection, too', async () => {
  const { near, far } = await acceptedPair()
  const outcome = securing(near)
  // It offers protocols, and does not go on.
  far.write(await clientHello({ ALPNProtocols: ['imap'] }))
  await once(far, 'data')
  near.destroy()
  assert.equal(await outcome, undefined)
  await once(far.resume(), 'end')
  far.destroy()
})

test('what a back-end has said before it resets is read, though something is unsent', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const taken = once(server, 'connection') as Promise<[Socket]>
  let read = ''
  const room = Buffer.alloc(1000)
  const inlet: Inlet = {
    readBuffer: () => room,
    take: (length, buffer) => {
      read += buffer.toString('latin1', 0, length)
      return true
    },
  }
  const { port } = server.address() as AddressInfo
  const endpoint = { host: '127.0.0.1', port, tls: 'none' } as const
  const result = await new Promise<DialResult>((resolve) => {
    dial({ endpoint, trust: undefined, timeoutMs: 5000, inlet }, resolve)
  })
  assert.ok(result.ok)
  const [far] = await taken
  far.pause()
  while (result.socket.writableLength === 0) result.socket.write('x'.repeat(100_000))
  const closed = new Promise((resolve) => result.socket.once('close', resolve))
  far.write('552 too large\r\n', () => far.resetAndDestroy())
  await closed
  assert.equal(read, '552 too large\r\n')
  server.close()
})

test('nothing is a thing that can be written, also over TLS', async () => {
  const { near, far } = await secured()
  near.write(Buffer.alloc(0))
  near.write('')
  near.write('word')
  const [chunk] = (await once(far, 'data')) as [Buffer]
  assert.equal(String(chunk), 'word')
  far.destroy()
  near.destroy()
})

test('what was put back is heard before any timer', async () => {
  const { near, far } = await acceptedPair()
  const order: string[] = []
  near.on('data', (chunk: Buffer) => order.push(String(chunk)))
  near.unshift(Buffer.from('put back'))
  near.resume()
  const timer = new Promise<void>((resolve) => {
    setTimeout(() => {
      order.push('timer')
      resolve()
    }, 1)
  })
  // The loop is late.
  for (const from = performance.now(); performance.now() - from < 5; );
  await timer
  assert.deepEqual(order, ['put back', 'timer'])
  for (const socket of [near, far]) socket.destroy()
})

test('a reset under TLS is told as what it is, after all that came before it', async () => {
  for (const bytes of [0, 80_000]) {
    const { near, far, raw } = await secured()
    const told: unknown[] = []
    let read = 0
    near.on('data', (chunk: Buffer) => (read += chunk.length))
    near.on('error', ({ code }: NodeJS.ErrnoException) => told.push(code))
    near.on('close', () => told.push('close'))
    await new Promise<void>((resolve) => far.write(Buffer.alloc(bytes), () => resolve()))
    raw.resetAndDestroy()
    near.resume()
    while (!told.includes('close')) await turn()
    assert.deepEqual([read, ...told], [bytes, 'ECONNRESET', 'close'])
  }
})
