/** Peers that vanish without a word. The deadlines' interval is moved by hand. */
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { join } from '../support/joined.ts'

test('both sides of a session that lasts are asked by TCP whether they are there', async () => {
  mock.timers.enable({ apis: ['setInterval'] })
  const { near, client, backend, pump, ended } = await join()
  const asked: unknown[][] = []
  for (const [side, socket] of Object.entries(near)) {
    mock.method(socket, 'setKeepAlive', (...args: unknown[]) => {
      asked.push([side, ...args])
      return socket
    })
  }
  mock.timers.tick(59_000)
  assert.deepEqual(asked, [])
  // Bytes pass, so that the session is not ended for its silence.
  backend.write('* 1 EXISTS\r\n')
  while (pump.bytesOut === 0) await new Promise((resolve) => setImmediate(resolve))
  mock.timers.tick(2_000)
  // After three minutes of silence, and then each second: within five minutes it is known.
  assert.deepEqual(asked, [
    ['client', true, 180_000],
    ['backend', true, 180_000],
  ])
  pump.kill()
  client.destroy()
  backend.destroy()
  await ended
})
