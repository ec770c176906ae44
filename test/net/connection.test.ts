/** What a connection promises, for a socket of Node and a direct one alike. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { test } from 'node:test'
import { connect as tlsConnect } from 'node:tls'
import { acceptTls } from '../../src/net/accept-tls.ts'
import {
  type Connection,
  describeTls,
  isEncrypted,
  nodeSocketOf,
} from '../../src/net/connection.ts'
import { type DialResult, dial, type Inlet } from '../../src/net/dial.ts'
import { connectDirectly } from '../../src/net/direct/connect.ts'
import { DirectSocket } from '../../src/net/direct/direct-socket.ts'
import { directSockets } from '../../src/net/direct/direct-sockets.ts'
import { createServerTls } from '../../src/net/tls.ts'
import { acceptedPair, listenDirectly, turn } from '../support/accepted.ts'
import { makeAuthority } from '../support/certificates.ts'
import { randomOf } from '../support/random.ts'
import '../support/direct-sockets.ts'

type Kind = 'node' | 'direct' | 'direct, with TLS'
const kinds: readonly Kind[] = ['node', 'direct', 'direct, with TLS']
const authority = makeAuthority()
const certificate = authority.issue(['localhost'])
const MiB = 1024 * 1024

/** Errors that come before are looked at elsewhere. */
function closed(connection: Connection): Promise<void> {
  return new Promise((resolve) => connection.once('close', resolve))
}

interface Pair extends Disposable {
  readonly near: Connection
  readonly far: Socket
}

/** As acceptedPair, with a socket of Node. */
async function nodePair(host: string): Promise<{ near: Connection; far: Socket }> {
  const { promise, resolve } = Promise.withResolvers<Connection>()
  const server = createServer({ noDelay: true, pauseOnConnect: true }, resolve).listen(0, host)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const far = connect({ host, port, allowHalfOpen: true })
  const near = await promise
  server.close()
  if (far.connecting) await once(far, 'connect')
  return { near, far }
}

/** The same, with TLS. */
async function secured(ends: { near: Connection; far: Socket }): Promise<typeof ends> {
  const alpn = { name: 'imap', alpn: 'imap', ticketKey: randomBytes(48) }
  const serverTls = createServerTls([certificate], 'TLSv1.2').forService(alpn)
  const far = tlsConnect({ socket: ends.far, ca: authority.ca, servername: 'localhost' })
  const near = await new Promise<Connection | undefined>((resolve) => {
    acceptTls(ends.near, { serverTls, asksCertificate: false }, resolve)
  })
  assert.ok(near !== undefined && isEncrypted(near))
  assert.deepEqual(describeTls(near), { protocol: 'TLSv1.3', cipher: 'TLS_AES_128_GCM_SHA256' })
  if (!far.authorized) await once(far, 'secureConnect')
  return { near, far }
}

/** A connection that was accepted, and its other end, which reads nothing yet. */
async function pair(kind: Kind, host = '127.0.0.1'): Promise<Pair> {
  const plain = await (kind === 'node' ? nodePair(host) : acceptedPair(host))
  plain.near.allowHalfOpen = true
  const { near, far } = kind === 'direct, with TLS' ? await secured(plain) : plain
  assert.equal(near instanceof DirectSocket, kind !== 'node')
  near.on('error', () => undefined)
  far.on('error', () => undefined)
  near.allowHalfOpen = true
  return {
    near,
    far,
    [Symbol.dispose]() {
      near.destroy()
      far.destroy()
    },
  }
}

async function textOf(connection: Connection): Promise<string> {
  let text = ''
  connection.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  connection.resume()
  await once(connection, 'end')
  return text
}

/** Until nothing more is taken: writes, in pieces of random sizes. Returns the hash of what was written. */
async function writeAll(to: Connection, bytes: number, seed: number): Promise<string> {
  const random = randomOf(seed)
  const hash = createHash('sha256')
  for (let left = bytes; left > 0; ) {
    const size = Math.min(left, 1 + Math.floor(random() * 300_000))
    const isText = Math.floor(random() * 2) === 0
    const octets = randomBytes(size)
    hash.update(octets)
    left -= size
    const isRoomy = isText ? to.write(octets.toString('latin1'), 'latin1') : to.write(octets)
    assert.equal(to.writableNeedDrain, !isRoomy)
    if (!isRoomy) await once(to, 'drain')
  }
  return hash.digest('hex')
}

async function hashOf(from: Connection): Promise<string> {
  const hash = createHash('sha256')
  from.on('data', (chunk: Buffer) => hash.update(chunk))
  from.resume()
  await once(from, 'end')
  return hash.digest('hex')
}

for (const kind of kinds) {
  const test_ = (what: string, run: () => Promise<void>): void => {
    test(`${kind}: ${what}`, run)
  }

  test_('its ends are told as they are, also when it is closed', async () => {
    for (const [host, shown] of [
      ['127.0.0.1', '127.0.0.1'],
      ['::1', '::1'],
    ] as const) {
      using both = await pair(kind, host)
      const { near, far } = both
      assert.deepEqual(
        [near.remoteAddress, near.remotePort, near.localAddress, near.localPort],
        [shown, far.localPort, shown, far.remotePort],
      )
    }
  })

  test_('nothing is read before it is asked for, and all afterwards', async () => {
    using both = await pair(kind)
    const { near, far } = both
    far.write('one ')
    far.end('two')
    near.on('data', () => assert.ok(!near.isPaused()))
    near.pause()
    assert.ok(near.isPaused())
    assert.equal(await textOf(near), 'one two')
    assert.ok(near.readableEnded && !near.destroyed && near.writable)
  })

  test_('both ways as much as there is, however slow the other side', async () => {
    using both = await pair(kind)
    const { near, far } = both
    const seed = Math.floor(Math.random() * 1e9)
    const sent = [writeAll(near, 12 * MiB, seed), writeAll(far, 12 * MiB, seed + 1)]
    const read = [hashOf(far), hashOf(near)]
    // Each stops now and then.
    for (let stop = 0; stop < 20; stop++) {
      for (const end of [near, far]) end.pause()
      await turn()
      for (const end of [near, far]) end.resume()
    }
    const hashes = await Promise.all(sent)
    near.end()
    far.end()
    assert.deepEqual(await Promise.all(read), hashes, `seed ${seed}`)
  })

  test_('who is not read is told by false, and by drain when there is room', async () => {
    using both = await pair(kind)
    const { near, far } = both
    const block = Buffer.alloc(MiB)
    while (near.write(block));
    assert.ok(near.writableNeedDrain && near.writableLength >= 65_536)
    far.resume()
    await once(near, 'drain')
    assert.deepEqual([near.writableNeedDrain, near.writableLength], [false, 0])
  })

  test_('the end comes after all that was written, and the last words with it', async () => {
    using both = await pair(kind)
    const { near, far } = both
    const words = 'x'.repeat(3 * MiB)
    near.write(words, 'latin1')
    near.end('last')
    assert.ok(near.writableEnded && !near.writable)
    const finished = once(near, 'finish')
    assert.equal((await textOf(far)).length, words.length + 4)
    await finished
    assert.equal(near.destroyed, false)
    far.end()
    near.resume()
    await closed(near)
  })

  test_('who wrote hears when all of it is on its way, or that it never will be', async () => {
    using both = await pair(kind)
    const { near, far } = both
    const told: string[] = []
    const tell =
      (name: string) =>
      (error?: Error | null): void => {
        told.push(error ? `${name} not` : name)
      }
    near.write(Buffer.from('a'), tell('a'))
    near.write(Buffer.alloc(8 * MiB), tell('b'))
    near.write(Buffer.from('c'), tell('c'))
    assert.deepEqual(told, [])
    far.resume()
    while (told.length < 3) await turn()
    assert.deepEqual(told, ['a', 'b', 'c'])
    far.pause()
    near.write(Buffer.alloc(32 * MiB), tell('d'))
    near.destroy()
    await closed(near)
    assert.deepEqual(told.at(-1), 'd not')
    assert.equal(near.write('x'), false)
  })

  test_('destroySoon delivers what was written', async () => {
    using both = await pair(kind)
    const { near, far } = both
    near.write('y'.repeat(5 * MiB), 'latin1')
    near.destroySoon()
    const gone = closed(near)
    assert.equal((await textOf(far)).length, 5 * MiB)
    await gone
    assert.ok(near.destroyed)
  })

  test_('what is corked goes in one piece', async () => {
    using both = await pair(kind)
    const { near, far } = both
    const chunks: string[] = []
    far.on('data', (chunk: Buffer) => chunks.push(chunk.toString()))
    near.cork()
    for (const word of ['one ', 'two ', 'three']) near.write(word)
    near.write(Buffer.from('!'))
    await turn()
    assert.deepEqual(chunks, [])
    near.uncork()
    await once(far, 'data')
    assert.deepEqual(chunks, ['one two three!'])
  })

  test_('what was put back is read first', async () => {
    using both = await pair(kind)
    const { near, far } = both
    far.end('then')
    near.pause()
    near.unshift(Buffer.from('first '))
    assert.ok(near.readableLength >= 6)
    assert.equal(await textOf(near), 'first then')
  })

  test_('one that does not stay half-open ends when the other side does', async () => {
    using both = await pair(kind)
    const { near, far } = both
    near.allowHalfOpen = false
    near.resume()
    far.end()
    await Promise.all([closed(near), once(far.resume(), 'end')])
  })

  test_('a client that leaves is told of though nothing is read of it', async () => {
    using both = await pair(kind)
    const { near, far } = both
    near.resume()
    near.pause()
    const told = once(near, 'end')
    far.end()
    await told
  })

  test_('keepalive can be asked for, also of one that is closed', async () => {
    using both = await pair(kind)
    const { near } = both
    near.setKeepAlive(true, 60_000)
    near.destroy()
    near.setKeepAlive(true, 60_000)
    await closed(near)
  })
}

for (const kind of ['node', 'direct'] as const) {
  test(`${kind}: a reset is told with its code, then the close, also to who does not read`, async () => {
    for (const isRead of [true, false]) {
      using both = await pair(kind)
      const { near, far } = both
      const told: unknown[] = []
      near.on('error', ({ code }: NodeJS.ErrnoException) => told.push(code))
      near.on('close', () => told.push('close'))
      near.on('data', () => told.push('data'))
      near.resume()
      if (!isRead) near.pause()
      far.resetAndDestroy()
      await closed(near)
      assert.deepEqual(told, ['ECONNRESET', 'close'])
    }
  })
}

for (const kind of ['node', 'direct'] as const) {
  test(`${kind}: what has come before a reset is read before it is told`, async () => {
    using both = await pair(kind)
    const { near, far } = both
    // More than is read at once, and no more than the kernel takes of it.
    const sent = 100_000
    let read = 0
    near.on('data', (chunk: Buffer) => {
      read += chunk.length
    })
    near.resume()
    await turn()
    await new Promise<void>((resolve) => far.write('x'.repeat(sent), () => resolve()))
    far.resetAndDestroy()
    await closed(near)
    assert.equal(read, sent)
  })
}

test('a direct connection goes on as a socket of Node, with what was not read', async () => {
  using both = await pair('direct')
  const { near, far } = both
  far.write('kernel')
  near.unshift(Buffer.from('put back, '))
  const socket = nodeSocketOf(near)
  assert.ok(!(socket instanceof DirectSocket) && near.destroyed)
  socket.on('error', () => undefined)
  socket.end('and ours')
  far.end()
  assert.deepEqual(await Promise.all([textOf(socket), textOf(far)]), [
    'put back, kernel',
    'and ours',
  ])
  near.destroy()
})

test('an inlet gets what it has room for, and the rest when it wants more', async () => {
  const { promise, resolve } = Promise.withResolvers<Connection>()
  const listener = await listenDirectly(resolve)
  const room = Buffer.alloc(10)
  const pieces: string[] = []
  const inlet: Inlet = {
    readBuffer: () => room,
    take: (length, buffer) => {
      pieces.push(buffer.toString('latin1', 0, length))
      return pieces.length !== 2
    },
  }
  const endpoint = { host: '127.0.0.1', port: listener.port, tls: 'none' } as const
  const result = await new Promise<DialResult>((done) => {
    dial({ endpoint, trust: undefined, timeoutMs: 5000, inlet }, done)
  })
  assert.ok(result.ok && result.socket instanceof DirectSocket)
  const far = await promise
  listener.close()
  far.end('0123456789abcdefghijKLMNO')
  while (pieces.length < 2) await turn()
  await turn()
  assert.deepEqual(pieces, ['0123456789', 'abcdefghij'])
  result.socket.resume()
  await once(result.socket, 'end')
  assert.deepEqual(pieces.at(-1), 'KLMNO')
  result.socket.destroy()
  far.destroy()
})

test('what cannot be reached is an error that says where', async () => {
  const poller = directSockets()
  assert.ok(poller)
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  const socket = connectDirectly(poller, { address: '127.0.0.1', port })
  const [error] = (await once(socket, 'error')) as [NodeJS.ErrnoException]
  assert.deepEqual(
    [error.code, error.message],
    ['ECONNREFUSED', `connect ECONNREFUSED 127.0.0.1:${port}`],
  )
  assert.throws(() => connectDirectly(poller, { address: 'fritz', port }), /not an address: fritz/)
})
