import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import { setTimeout as pass } from 'node:timers/promises'
import { borrowLargeBuffer, quietBuffer, returnLargeBuffer } from '../../src/net/read-buffer.ts'
import { type Joined, join } from '../support/joined.ts'

const variants = [
  { client: 'plain', backend: 'none' },
  { client: 'plain', backend: 'implicit' },
  { client: 'plain', backend: 'starttls' },
  { client: 'tls', backend: 'none' },
  { client: 'tls', backend: 'implicit' },
  { client: 'tls', backend: 'starttls' },
] as const

const MiB = 1024 * 1024

function ignore(): void {}

/** Everything until the other end has ended, hashed. */
async function readAll(socket: Socket): Promise<{ bytes: number; hash: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    hash.update(chunk as Buffer)
    bytes += (chunk as Buffer).length
  }
  return { bytes, hash: hash.digest('hex') }
}

async function readText(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of socket.iterator({ destroyOnReturn: false }))
    chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('latin1')
}

/** Writes as much as is asked for, waiting wherever the other end is slow; counts what was taken. */
class Flood {
  written = 0
  readonly #hash = createHash('sha256')

  async send(socket: Socket, bytes: number): Promise<string> {
    const block = randomBytes(MiB)
    while (this.written < bytes) {
      // Sizes around those of records, buffers and segments.
      const size = Math.min(bytes - this.written, 1 + ((this.written * 7919) % block.length))
      const chunk = Buffer.from(block.subarray(0, size))
      this.#hash.update(chunk)
      this.written += size
      if (!socket.write(chunk)) await once(socket, 'drain')
    }
    return this.#hash.digest('hex')
  }

  /** Waits until nothing more is taken. */
  async stalled(): Promise<void> {
    for (let before = -1; before !== this.written; ) {
      before = this.written
      await pass(150)
    }
  }
}

for (const variant of variants) {
  const name = `client ${variant.client}, back-end ${variant.backend}`

  test(`a reader that pauses stops the other side, and gets every byte (${name})`, async () => {
    for (const direction of ['to client', 'to back-end'] as const) {
      const joined = await join(variant)
      const [from, to] =
        direction === 'to client'
          ? [joined.backend, joined.client]
          : [joined.client, joined.backend]
      const flood = new Flood()
      const rssBefore = process.memoryUsage().rss
      const sent = flood.send(from, 64 * MiB)
      await flood.stalled()
      assert(flood.written < 48 * MiB, `${direction}: ${flood.written} bytes taken by nobody`)
      const [near, far] =
        direction === 'to client'
          ? [joined.near.client, joined.near.backend]
          : [joined.near.backend, joined.near.client]
      // A large buffer's worth at most, in whatever stage.
      assert(near.writableLength + far.readableLength <= 1.25 * MiB, direction)
      const grown = process.memoryUsage().rss - rssBefore
      assert(grown < 40 * MiB, `${direction}: memory has grown by ${grown}`)
      const received = readAll(to)
      const hash = await sent
      from.end()
      const got = await received
      assert.deepEqual(got, { bytes: 64 * MiB, hash }, direction)
      to.end()
      await joined.ended
    }
  })

  test(`what was read too far comes first, then both ways in order (${name})`, async () => {
    const joined = await join({
      ...variant,
      toClient: '* 1 EXISTS\r\n',
      toBackend: 'a SELECT x\r\n',
    })
    joined.client.write('b NOOP\r\n')
    joined.backend.write('b OK\r\n')
    joined.client.end('c LOGOUT\r\n')
    assert.equal(await readText(joined.backend), 'a SELECT x\r\nb NOOP\r\nc LOGOUT\r\n')
    // The client has ended its side only: it still hears the last words.
    joined.backend.end('* BYE\r\nc OK\r\n')
    assert.equal(await readText(joined.client), '* 1 EXISTS\r\nb OK\r\n* BYE\r\nc OK\r\n')
    assert.equal(await joined.ended, 'client_closed')
    assert.deepEqual([joined.pump.bytesIn, joined.pump.bytesOut], [30, 31])
  })

  test(`the tail arrives whole when the back-end closes at once (${name})`, async () => {
    for (const bytes of [1, 100, 16_384, 65_536, 300_000, 2 * MiB]) {
      const joined = await join(variant)
      const tail = randomBytes(bytes)
      // Input that nobody will read any more must not reset the connection under the tail.
      joined.client.write('NOOP\r\n'.repeat(100))
      joined.backend.resume()
      joined.backend.end(tail)
      const got = await readAll(joined.client)
      assert.deepEqual(got, { bytes, hash: createHash('sha256').update(tail).digest('hex') })
      joined.client.end()
      assert.equal(await joined.ended, 'backend_closed')
    }
  })

  test(`who has said that it leaves is not waited for (${name})`, async () => {
    const joined = await join(variant)
    joined.pump.watch = { fromClient: ignore, fromBackEnd: ignore, isLeaving: true }
    const tail = randomBytes(300_000)
    joined.backend.resume()
    joined.backend.end(tail)
    // The far end of the client never closes by itself.
    const got = await readAll(joined.client)
    assert.equal(got.hash, createHash('sha256').update(tail).digest('hex'))
    assert.equal(await joined.ended, 'backend_closed')
    assert.equal(joined.client.writableEnded, false)
    joined.client.destroy()
  })

  test(`either side vanishing closes the other (${name})`, async () => {
    const first = await join(variant)
    first.backend.resume()
    first.client.destroy()
    await once(first.backend, 'end')
    first.backend.destroy()
    assert.match(await first.ended, /^client_/)
    const second = await join(variant)
    second.client.resume()
    second.backend.destroy()
    await once(second.client, 'end')
    second.client.end()
    assert.match(await second.ended, /^backend_/)
  })
}

test('a reset on either side is an end, not an error that escapes', async () => {
  const first = await join()
  first.backend.resume()
  first.client.resetAndDestroy()
  await once(first.backend, 'end')
  assert.equal(await first.ended, 'client_error')
  const second = await join()
  second.client.resume()
  second.backend.resetAndDestroy()
  await once(second.client, 'end')
  second.client.end()
  assert.equal(await second.ended, 'backend_error')
})

test('many sessions at once that share one read buffer keep their bytes apart', async () => {
  const sessions: Joined[] = []
  for (let index = 0; index < 40; index++) {
    sessions.push(await join({ client: index % 2 === 0 ? 'plain' : 'tls' }))
  }
  const checks = sessions.map(async ({ client, backend, ended }, index) => {
    const got = readAll(client)
    const hash = createHash('sha256')
    for (let round = 0; round < 60; round++) {
      // Sizes below, at and above that of the shared buffer.
      const chunk = Buffer.alloc((round * 997 + index * 31) % (2 * quietBuffer.length), index + 1)
      hash.update(chunk)
      backend.write(chunk)
      if (round % 7 === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    backend.end()
    assert.equal((await got).hash, hash.digest('hex'), `session ${index}`)
    client.end()
    await ended
  })
  await Promise.all(checks)
})

test('silence on both sides ends the join', async () => {
  const { client, backend, ended } = await join({ idleTimeoutMs: 200 })
  client.resume()
  backend.resume()
  await Promise.all([once(client, 'end'), once(backend, 'end')])
  client.end()
  backend.end()
  assert.equal(await ended, 'idle')
})

test('a side that stays open after the other has ended is closed in the end', async () => {
  const { client, backend, ended } = await join()
  client.resume()
  backend.end('* BYE\r\n')
  // The client never closes: it gets a second.
  await once(client, 'end')
  assert.equal(await ended, 'backend_closed')
  client.destroy()
})

test('a shutdown delivers what was taken and closes both sides', async () => {
  const { client, backend, pump, ended } = await join()
  const got = readText(client)
  backend.write('* 1 EXISTS\r\n')
  while (pump.bytesOut < 12) await new Promise((resolve) => setImmediate(resolve))
  pump.shutdown()
  assert.equal(await got, '* 1 EXISTS\r\n')
  client.end()
  backend.destroy()
  assert.equal(await ended, 'shutdown')
})

test('a farewell comes after what was taken, and is the last', async () => {
  for (const kind of ['plain', 'tls'] as const) {
    const { client, backend, pump, ended } = await join({ client: kind })
    const got = readText(client)
    backend.write('* 1 EXISTS\r\n')
    while (pump.bytesOut < 12) await new Promise((resolve) => setImmediate(resolve))
    pump.shutdown('* BYE\r\n')
    backend.write('* 2 EXISTS\r\n')
    pump.shutdown('* BYE again\r\n')
    assert.equal(await got, '* 1 EXISTS\r\n* BYE\r\n')
    assert.equal(pump.bytesOut, 19)
    client.end()
    backend.destroy()
    assert.equal(await ended, 'shutdown')
  }
})

test('a client may stay a while after its back-end has gone, and hears of it at its next word', async () => {
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const { client, backend, ended } = await join({ delayMs: 60_000 })
    backend.resume()
    client.resume()
    // All that was said before arrives.
    if (leave === 'end') backend.write('* BYE\r\n')
    if (leave === 'end') assert.equal(String((await once(client, 'data'))[0]), '* BYE\r\n')
    backend[leave]()
    await once(backend, 'close')
    await pass(50)
    assert.equal(client.readableEnded, false)
    client.write('a NOOP\r\n')
    await once(client, 'end')
    client.end()
    assert.match(await ended, /^backend_/)
  }
})

test('who stays after its back-end has gone is told when the time is up, or leaves, or is ended', async () => {
  const ends = {
    'the time is up': async ({ client }: Joined) => void (await once(client, 'end')),
    'a farewell': async ({ client, pump }: Joined) => {
      pump.shutdown('* BYE\r\n')
      await once(client, 'end')
    },
    'its client ends': async ({ client }: Joined) => {
      client.end()
      await once(client, 'end')
    },
    'its client is gone': async ({ client }: Joined) => void client.resetAndDestroy(),
    'a kill': async ({ client, pump }: Joined) => {
      pump.kill()
      await once(client, 'end')
    },
  }
  for (const [what, end] of Object.entries(ends)) {
    const joined = await join({ delayMs: what === 'the time is up' ? 200 : 60_000 })
    joined.client.resume().on('error', () => undefined)
    joined.backend.resume().end()
    await once(joined.backend, 'close')
    await end(joined)
    joined.client.end()
    assert.equal(await joined.ended, 'backend_closed', what)
  }
})

test('a kill ends both sides at once', async () => {
  const { client, backend, pump, ended } = await join()
  const closed = Promise.all([once(client.resume(), 'close'), once(backend.resume(), 'close')])
  pump.kill()
  assert.equal(await ended, 'shutdown')
  client.end()
  backend.end()
  await closed
})

test('what waits for a slow client stays as it is when its back-end gets quieter', async () => {
  for (const client of ['plain', 'tls'] as const) {
    const joined = await join({ client })
    const { near, pump } = joined
    joined.client.pause()
    // The back-end gets busy, so that there is a large buffer, and fills what the client does not read.
    pump.take(quietBuffer.length, quietBuffer.fill('a'))
    const sent = [quietBuffer.length]
    const take = (length: number, letter: string): void => {
      pump.take(length, pump.readBuffer().fill(letter, 0, length))
      sent.push(length)
    }
    while (near.client.writableLength === 0) take(100_000, 'b')
    take(8_000, 'c')
    take(3_000, 'd')
    const other = borrowLargeBuffer()
    other?.fill('Z')
    const text = readText(joined.client)
    joined.backend.end()
    const got = await text
    assert.equal(
      got.length,
      sent.reduce((sum, length) => sum + length, 0),
      client,
    )
    assert.doesNotMatch(got, /Z/, client)
    if (other !== undefined) returnLargeBuffer(other, false)
    joined.client.end()
    await joined.ended
  }
})
