/** Logins to mailboxes, as a stream of bytes afterwards. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { openMailboxStream } from '../../src/backend/mailbox-stream.ts'
import { OutsideDoor } from '../../src/backend/outside-door.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { ScriptedBackend } from '../support/peer.ts'

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
