/** A large script after the login: it passes, and is kept nowhere on its way. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { test } from 'node:test'
import { SieveWatch } from '../../../src/protocol/sieve/joined-watch.ts'
import { FrontEnd } from '../../support/front-end.ts'
import { join } from '../../support/joined.ts'
import { serveLogin } from '../../support/login-backend.ts'
import { loginWords } from '../../support/login-words.ts'
import { ScriptedBackend } from '../../support/peer.ts'
import { tlsParties } from '../../support/tls-parties.ts'

const { certificate } = tlsParties()
const bytes = 10_000_000
const announced = `PUTSCRIPT "x" {${bytes}+}\r\n`
/**
 * Of what one side has taken and the other not, the join may hold so much unsent, and so much that its
 * stream has read ahead: the 64 KiB after which it stops its client, and what one more read brings.
 */
const heldBytes = 2 * 65_536

for (const client of ['plain', 'tls'] as const) {
  for (const backend of ['none', 'implicit'] as const) {
    test(`a script of ten megabytes waits at its sender until the back-end reads (client ${client}, back-end ${backend})`, async () => {
      const joined = await join({ client, backend })
      joined.pump.watch = new SieveWatch()
      joined.backend.pause()
      const script = randomBytes(bytes)
      joined.client.write(announced)
      const written = new Promise((resolve) => joined.client.write(script, resolve))
      // Until the join asks for no more: what it was given and could not pass on is its own.
      for (let before = -1; before !== joined.pump.bytesIn || before === 0; ) {
        before = joined.pump.bytesIn
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      assert.ok(joined.pump.bytesIn < bytes, 'it was not all taken')
      const { client: near, backend: far } = joined.near
      const held = `${far.writableLength} unsent, ${near.readableLength} unread`
      assert.ok(far.writableLength <= heldBytes, held)
      assert.ok(near.readableLength <= heldBytes, held)
      const hash = createHash('sha256')
      let left = announced.length + bytes
      joined.backend.on('data', (chunk: Buffer) => {
        hash.update(chunk)
        left -= chunk.length
        if (left === 0) joined.backend.write('OK "stored"\r\n')
      })
      joined.backend.resume()
      const [answer] = (await once(joined.client, 'data')) as [Buffer]
      await written
      assert.equal(String(answer), 'OK "stored"\r\n')
      const expected = createHash('sha256').update(announced).update(script)
      assert.equal(hash.digest('hex'), expected.digest('hex'))
      joined.pump.kill()
      joined.client.destroy()
      joined.backend.destroy()
      await joined.ended
    })
  }
}

test('sieve: a script behind the login in the same segment is passed as it is, and once', async () => {
  const { promise: got, resolve } = Promise.withResolvers<string>()
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(loginWords.sieve.backendGreeting)
    await serveLogin(peer, { service: 'sieve', certificate })
    const hash = createHash('sha256')
    let left = announced.length + bytes
    const early = Buffer.from(peer.unread, 'latin1')
    hash.update(early)
    left -= early.length
    peer.socket.removeAllListeners('data')
    peer.socket.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      left -= chunk.length
      if (left === 0) resolve(hash.digest('hex'))
    })
  })
  await using front = await FrontEnd.start({ service: 'sieve', backendPort: backend.port })
  using client = await front.connect()
  await client.expect(loginWords.sieve.greeting)
  const script = randomBytes(bytes)
  const login = Buffer.from(loginWords.sieve.logIn('ann', 'secret'))
  client.send(Buffer.concat([login, Buffer.from(announced), script]))
  await client.expect(loginWords.sieve.accepted)
  assert.equal(await got, createHash('sha256').update(announced).update(script).digest('hex'))
  assert.deepEqual(front.runtime.eventsOf('refuse'), [])
})
