/** More clients than a daemon has descriptors for. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { test } from 'node:test'
import { limits } from '../../src/base/limit.ts'
import { startEcho } from '../support/echo-daemon.ts'
import { Peer } from '../support/peer.ts'
import { tempDir } from '../support/temp-dir.ts'

const openFiles = 2_048
const clients = 25_000

test('of 25,000 clients as many are let in as 2,048 descriptors allow, and all others counted', async () => {
  using dir = tempDir()
  await using daemon = await startEcho(dir, 'workers: 1\nlimits: {sessions: 20000}\n', {
    openFiles,
  })
  using open = new DisposableStack()
  const port = daemon.port('imap')
  const room = Math.floor((openFiles - limits.reservedDescriptors) / 2)
  const inside: Peer[] = []
  for (let count = 0; count < room; count++) {
    const peer = open.use(await Peer.connect(port))
    assert.match(await peer.line(), /^imap none/)
    inside.push(peer)
  }
  const answers = new Map<string, number>()
  const numbers = Array.from({ length: clients - room }, (_, number) => number).values()
  const knock = async (): Promise<void> => {
    for (const _ of numbers) {
      const socket = connect(port, '127.0.0.1')
      let heard = ''
      socket.on('data', (chunk: Buffer) => {
        heard += String(chunk)
      })
      socket.on('error', () => undefined)
      await once(socket, 'close')
      answers.set(heard, (answers.get(heard) ?? 0) + 1)
    }
  }
  await Promise.all(Array.from({ length: 8 }, knock))
  // On a busy machine those of before may not have gone: beyond some at once nobody is told.
  const told = answers.get('* BYE [UNAVAILABLE] too many sessions, try again later\r\n') ?? 0
  assert.equal(told + (answers.get('') ?? 0), clients - room, [...answers.keys()].join())
  assert.ok(told > (clients - room) * 0.9, `${told} told`)
  for (const [number, peer] of inside.entries()) {
    assert.equal(await peer.send(`still ${number}\r\n`).line(), `still ${number}`)
  }
  const [imap] = (await daemon.status()).services
  assert.deepEqual([imap?.sessions, imap?.refused], [room, { conn_limit: clients - room }])
  assert.deepEqual([daemon.eventsOf('internal'), daemon.eventsOf('worker.exited')], [[], []])
  // And one that leaves makes room for one.
  await inside[0]?.send('quit\r\n').end()
  await daemon.waitFor('session.end')
  using next = await Peer.connect(port)
  assert.match(await next.line(), /^imap none/)
})
