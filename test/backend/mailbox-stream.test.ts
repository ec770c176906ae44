/** Logins to mailboxes, as a stream of bytes afterwards. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { Allowance } from '../../src/backend/allowance.ts'
import { openMailboxStream } from '../../src/backend/open-mailbox-stream.ts'
import { OutsideDoor } from '../../src/backend/outside-door.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { ScriptedBackend } from '../support/peer.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'

const never = new AbortController().signal
const hello = '* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=OAUTHBEARER AUTH=PLAIN] hi\r\n'

test('a token that is refused is answered by nothing, and the login has failed', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(hello)
    const [, sent = ''] = await peer.expect(/^L AUTHENTICATE OAUTHBEARER (\S+)\r\n/)
    const message = 'n,a=ann,\u0001auth=Bearer x.y\u0001\u0001'
    assert.equal(String(Buffer.from(sent, 'base64')), message)
    peer.send('+ eyJzdGF0dXMiOiI0MDEifQ==\r\n')
    await peer.expect(/^\r\n/)
    peer.send('L NO [AUTHENTICATIONFAILED] no\r\n')
  })
  const endpoint = { host: '127.0.0.1', port: backend.port, tls: 'none' } as const
  const limits = { connectTimeoutMs: 5000, loginTimeoutMs: 5000 } as never
  const secrets = new Map([['ann', { kind: 'token', secret: 'x.y' }]] as const)
  const access = new OutsideDoor(endpoint, limits, secrets).accessTo('ann')
  await assert.rejects(openMailboxStream(access, 'imap', never), { code: 'BACKEND_LOGIN_REFUSED' })
  assert.deepEqual(backend.failures, [])
})

test('what comes with the answer to the login, and after it, is read in order', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(hello)
    await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
    peer.send('L OK [CAPABILITY IMAP4rev1] In\r\n* 1 EXISTS\r\n')
    peer.send(await peer.line())
    peer.socket.end()
  })
  const access = doorTo('fritz', backend.port, 'authzid').accessTo('ann')
  const stream = await openMailboxStream(access, 'imap', never)
  assert.equal(stream.capabilities, 'IMAP4rev1')
  stream.write('* 2 EXISTS\r\n')
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  assert.equal(String(Buffer.concat(chunks)), '* 1 EXISTS\r\n* 2 EXISTS')
})

test('who gives up waits no longer, and the connection is gone', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    await peer.end()
  })
  const ended = new AbortController()
  const access = doorTo('fritz', backend.port).accessTo('ann')
  const opening = openMailboxStream(access, 'imap', ended.signal)
  const peer = await backend.peerNumber(0)
  ended.abort(new Error('enough'))
  await assert.rejects(opening, { message: 'enough' })
  await peer.end()
})

test('a connection that breaks is told of as an error', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send(hello)
    await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
    peer.send('L OK [CAPABILITY IMAP4rev1] In\r\n')
    await peer.line()
    peer.socket.resetAndDestroy()
  })
  const access = doorTo('fritz', backend.port, 'authzid').accessTo('ann')
  const stream = await openMailboxStream(access, 'imap', never)
  stream.resume().write('x\r\n')
  const [error] = (await once(stream, 'error')) as [Error]
  assert.match(error.message, /ECONNRESET|closed/)
})

/** A back-end that sends so many octets after the login, and a stream that shares `allowance`. */
async function sending(bytes: number, allowance: Allowance) {
  const backend = await ScriptedBackend.start(async (peer) => {
    peer.send(hello)
    await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
    peer.send('L OK [CAPABILITY IMAP4rev1] In\r\n')
    await peer.line()
    peer.send(Buffer.alloc(bytes, 'x'))
    peer.socket.end()
  })
  const share = allowance.share()
  const access = { ...doorTo('fritz', backend.port, 'authzid').accessTo('ann'), share }
  return { backend, share, stream: await openMailboxStream(access, 'imap', never) }
}

const rate = 1_000_000

test('octets come and go no faster than they may, whichever way', async () => {
  const clock = new SimulatedClock()
  const limits = { connections: undefined, bytesPerSecond: rate, clock }
  const { backend, stream } = await sending(4 * rate, new Allowance(limits))
  await using _ = backend
  const startedAt = clock.now()
  let come = 0
  stream.on('data', (chunk: Buffer) => {
    come += chunk.length
    const may = rate + ((clock.now() - startedAt) * rate) / 1000
    // What was read at a time counts after it has come.
    assert.ok(come <= may + 65_536, `${come} after ${clock.now() - startedAt} ms`)
  })
  stream.write(`${'y'.repeat(rate)}\r\n`)
  await passTime(clock, once(stream, 'end'))
  assert.equal(come, 4 * rate)
  const took = clock.now() - startedAt
  assert.ok(took >= 3_900 && took <= 4_100, `${took} ms`)
})

test('who gives up what waits for the rate is told so, in whatever order it was given', async () => {
  const allowance = new Allowance({
    connections: undefined,
    bytesPerSecond: rate,
    clock: new SimulatedClock(),
  })
  const { backend, stream } = await sending(0, allowance)
  await using _ = backend
  stream.on('error', () => undefined)
  await stream.send(Buffer.alloc(rate))
  const held = [stream.send(Buffer.alloc(rate)), stream.send(Buffer.alloc(1))]
  stream.destroy()
  await Promise.all(held)
})

test('what is urgent waits for nothing, and others wait for what it took', async () => {
  const clock = new SimulatedClock()
  const limits = { connections: undefined, bytesPerSecond: rate, clock }
  const allowance = new Allowance(limits)
  const { backend, stream, share } = await sending(4 * rate, allowance)
  await using _ = backend
  stream.write('go\r\n')
  const chunks: Buffer[] = []
  stream.on('data', (chunk: Buffer) => chunks.push(chunk))
  while (!Number.isFinite(clock.nextDueMs)) await setImmediate()
  share.isUrgent = true
  await once(stream, 'end')
  assert.equal(Buffer.concat(chunks).length, 4 * rate)
  assert.ok(allowance.share().spend(1, () => undefined) !== undefined)
  assert.equal(Math.round((clock.nextDueMs - clock.now()) / 1000), 3)
})

for (const [said, code] of [
  ['NO [UNAVAILABLE] later', 'BACKEND_THROTTLED'],
  ['NO [THROTTLED] later', 'BACKEND_THROTTLED'],
  ['NO [LIMIT] too many', 'BACKEND_THROTTLED'],
  ['NO [ALERT] Too many simultaneous connections. (Failure)', 'BACKEND_THROTTLED'],
  ['NO [AUTHENTICATIONFAILED] no', 'BACKEND_LOGIN_REFUSED'],
  ['NO no', 'BACKEND_LOGIN_REFUSED'],
] as const) {
  test(`a login that is answered ${said} is ${code}`, async () => {
    await using backend = await ScriptedBackend.start(async (peer) => {
      peer.send(hello)
      await peer.expect(/^L AUTHENTICATE PLAIN \S+\r\n/)
      peer.send(`L ${said}\r\n`)
    })
    const clock = new SimulatedClock()
    const allowance = new Allowance({ connections: 9, bytesPerSecond: undefined, clock })
    const door = doorTo('fritz', backend.port, 'authzid')
    const access = { ...door.accessTo('ann'), share: allowance.share() }
    await assert.rejects(openMailboxStream(access, 'imap', never), { code })
    assert.equal(allowance.seats.allowed < 9, code === 'BACKEND_THROTTLED')
  })
}
