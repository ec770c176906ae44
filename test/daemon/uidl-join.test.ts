/** POP3 sessions of a user whose messages had other UIDLs before: real sockets, clear text and TLS. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { MailmuxError } from '../../src/base/error.ts'
import { UidlTable } from '../../src/map/state/uidl-table.ts'
import { FrontEnd } from '../support/front-end.ts'
import { serveLogin } from '../support/login-backend.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { tlsParties } from '../support/tls-parties.ts'

const { authority, certificate, serverTls, trust } = tlsParties()

const table = UidlTable.of(
  new Map([
    ['a', 'old-a'],
    ['b', 'c'],
  ]),
)

interface Joined extends AsyncDisposable {
  readonly front: FrontEnd
  readonly client: Peer
  readonly backend: Peer
}

/** Ann, who is logged in, and her back-end from there on. */
async function logIn(tls: 'none' | 'implicit', findUidls = () => table): Promise<Joined> {
  await using opened = new AsyncDisposableStack()
  const { promise: joined, resolve } = Promise.withResolvers<Peer>()
  const fritz = opened.use(
    await ScriptedBackend.start(async (peer) => {
      if (tls === 'implicit') await peer.acceptTls(certificate)
      peer.send('+OK fritz ready\r\n')
      if (await serveLogin(peer, { service: 'pop3', certificate })) resolve(peer)
    }),
  )
  const front = opened.use(
    await FrontEnd.start({
      service: 'pop3',
      serverTls,
      trust,
      tls,
      backendTls: tls,
      backendName: 'fritz.example.com',
      backendPort: fritz.port,
    }),
  )
  const asked: unknown[] = []
  front.runtime.current.map.findUidls = ({ user, backend }) => {
    asked.push({ user, backend })
    return findUidls()
  }
  const client = opened.use(await front.connect())
  if (tls === 'implicit') {
    await client.startTls({ ca: authority.ca, servername: 'mx1.example.com' })
  }
  await client.expect(/^\+OK .*\r\n/)
  client.send('USER ann\r\nPASS secret\r\n')
  await client.expect(/^\+OK.*\r\n\+OK Logged in\r\n/)
  assert.deepEqual(asked, [{ user: 'ann@example.com', backend: 'fritz' }])
  const backend = await joined
  const resources = opened.move()
  return { front, client, backend, [Symbol.asyncDispose]: () => resources.disposeAsync() }
}

for (const tls of ['none', 'implicit'] as const) {
  test(`UIDLs are those of before, and messages are what they are (TLS ${tls})`, async () => {
    await using joined = await logIn(tls)
    const { client, backend } = joined
    client.send('UIDL\r\nRETR 1\r\nUIDL 2\r\nUIDL 3\r\nSTAT\r\n')
    await backend.expect(/^UIDL\r\nRETR 1\r\nUIDL 2\r\nUIDL 3\r\nSTAT\r\n/)
    const message = `+OK\r\n${'1 a\r\n..\r\n+OK 1 a\r\n'.repeat(100_000)}.\r\n`
    const said = `+OK 3\r\n1 a\r\n2 b\r\n3 c\r\n.\r\n${message}+OK 2 b\r\n+OK 3 c\r\n+OK 1 a\r\n`
    const heard = `+OK 3\r\n1 old-a\r\n2 c\r\n3 ~c\r\n.\r\n${message}+OK 2 c\r\n+OK 3 ~c\r\n+OK 1 a\r\n`
    for (let at = 0, size = 1; at < said.length; at += size, size = (size % 70_000) * 3 + 1) {
      backend.send(said.slice(at, at + size))
    }
    await client.expect(/\+OK 3 ~c\r\n\+OK 1 a\r\n$/)
    assert.ok(client.received.endsWith(heard))
  })

  test(`a long list waits for a slow client, and comes whole (TLS ${tls})`, async () => {
    await using joined = await logIn(tls)
    const { client, backend, front } = joined
    // More than the kernel keeps for the two connections.
    const other = 'm'.repeat(70)
    const lines = Array.from({ length: 120_000 }, (_, at) => `${at + 1} ${at % 9 ? other : 'a'}`)
    client.send('UIDL\r\n')
    await backend.expect(/^UIDL\r\n/)
    const before = client.received.length
    client.socket.pause()
    const isTaken = backend.socket.write(`+OK\r\n${lines.join('\r\n')}\r\n.\r\nx`)
    assert.equal(isTaken, false)
    const drained = once(backend.socket, 'drain')
    client.send('NOOP\r\n')
    await backend.expect(/^NOOP\r\n/)
    client.socket.resume()
    await drained
    backend.send('\r\n')
    await client.expect(/x\r\n$/)
    const heard = lines.join('\r\n').replace(/ a$/gm, ' old-a')
    assert.equal(client.received.slice(before), `+OK\r\n${heard}\r\n.\r\nx\r\n`)
    const [session] = front.runtime.sessions
    assert.equal(session?.bytesOut, client.received.length)
  })
}

test('who is sent away hears so after the list that is under way', async () => {
  await using joined = await logIn('none')
  const { client, backend, front } = joined
  client.send('UIDL\r\n')
  await backend.expect(/^UIDL\r\n/)
  backend.send('+OK\r\n1 a\r\n2 ')
  await client.expect(/^\+OK\r\n1 old-a\r\n/)
  const [session] = front.runtime.sessions
  session?.shutdown('kicked')
  backend.send('b\r\n.\r\n')
  await client.expect(/^2 c\r\n\.\r\n-ERR \[SYS\/TEMP\] .*\r\n/)
  assert.equal(await client.end(), '')
  assert.equal((await front.runtime.waitFor('session.end')).end, 'kicked')
})

test('of a back-end that ends within a UIDL, the client hears no part of it', async () => {
  await using joined = await logIn('none')
  const { client, backend } = joined
  client.send('UIDL\r\n')
  await backend.expect(/^UIDL\r\n/)
  backend.send('+OK\r\n1 a\r\n2 bb')
  backend.socket.end()
  assert.equal(await client.end(), '+OK\r\n1 old-a\r\n')
})

function tellDamage(): never {
  throw new MailmuxError('STATE_DAMAGED', 'state.db: the checksum of a row is wrong')
}

test('where the table cannot be read, the session goes on with what the back-end says', async () => {
  await using joined = await logIn('none', tellDamage)
  const { client, backend, front } = joined
  client.send('UIDL 1\r\n')
  await backend.expect(/^UIDL 1\r\n/)
  backend.send('+OK 1 a\r\n')
  await client.expect(/^\+OK 1 a\r\n/)
  const [fault] = front.runtime.eventsOf('internal')
  assert.deepEqual(fault, {
    reason: 'uidl',
    detail: '1-1: state.db: the checksum of a row is wrong',
  })
})
