/**
 * Ends of one side while the other goes on, with each octet compared: nothing that was said before an
 * end is lost behind it. `script/fuzz 10000 test/net/half-close.test.ts` tries it as often.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Joined, join } from '../support/joined.ts'
import { runs } from '../support/runs.ts'

/** Around those of segments, records and buffers; a few more than the kernel takes at once. */
const sizes = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 1, max: 200 }) },
  { weight: 3, arbitrary: fc.constantFrom(1460, 4095, 4096, 16_383, 16_384, 65_536, 65_537) },
  { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 600_000 }) },
)
const pieces = fc.array(sizes, { maxLength: 5 })
/** Turns of the event loop between two pieces, or between two reads. */
const pauses = fc.integer({ min: 0, max: 3 })

const worlds = fc.record({
  client: fc.constantFrom('plain', 'plain', 'tls'),
  backend: fc.constantFrom('none', 'none', 'implicit'),
  fromClient: pieces,
  fromBackend: pieces,
  clientPauses: pauses,
  backendPauses: pauses,
  readPauses: pauses,
})

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** Says all of it, without waiting until somebody reads; what was said. */
async function say(socket: Socket, lengths: readonly number[], pausing: number): Promise<Buffer> {
  const said: Buffer[] = []
  for (const length of lengths) {
    // The other end may have gone.
    if (!socket.writable) break
    const piece = randomBytes(length)
    said.push(piece)
    socket.write(piece)
    await turns(pausing)
  }
  return Buffer.concat(said)
}

/** All that comes until the end, read slowly. `mayBreak`: the end may be that of the connection. */
async function hear(socket: Socket, pausing: number, mayBreak = false): Promise<Buffer> {
  const heard: Buffer[] = []
  try {
    for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
      heard.push(chunk as Buffer)
      await turns(pausing)
    }
  } catch (error) {
    if (!mayBreak) throw error
  }
  return Buffer.concat(heard)
}

async function over({ client, backend, ended }: Joined): Promise<string> {
  client.end()
  backend.end()
  const end = await ended
  client.destroy()
  backend.destroy()
  return end
}

test('all that a back-end has said arrives, though it ends while its client goes on', async () => {
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const joined = await join(world)
      const [toClient, toBackend] = [
        hear(joined.client, world.readPauses),
        hear(joined.backend, world.readPauses, true),
      ]
      const asked = say(joined.client, world.fromClient, world.clientPauses)
      const answered = await say(joined.backend, world.fromBackend, world.backendPauses)
      joined.backend.end()
      assert.ok((await toClient).equals(answered))
      assert.equal(await over(joined), 'backend_closed')
      // What came after its end nobody wanted to hear.
      const [heard, all] = [await toBackend, await asked]
      assert.ok(heard.equals(all.subarray(0, heard.length)))
    }),
    runs(150),
  )
})

test('all passes both ways, though a client ends while its back-end goes on', async () => {
  await fc.assert(
    fc.asyncProperty(worlds, async (world) => {
      const joined = await join(world)
      const [toClient, toBackend] = [
        hear(joined.client, world.readPauses),
        hear(joined.backend, world.readPauses),
      ]
      const answered = say(joined.backend, world.fromBackend, world.backendPauses)
      const asked = await say(joined.client, world.fromClient, world.clientPauses)
      joined.client.end()
      // It hears of the end, and has the last word: the answer to a QUIT.
      assert.ok((await toBackend).equals(asked))
      const all = Buffer.concat([await answered, Buffer.from('+OK bye\r\n')])
      joined.backend.end('+OK bye\r\n')
      assert.ok((await toClient).equals(all))
      assert.equal(await over(joined), 'client_closed')
    }),
    runs(150),
  )
})
