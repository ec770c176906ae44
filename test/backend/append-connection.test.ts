/** APPEND towards back-ends that follow a script. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { Allowance } from '../../src/backend/allowance.ts'
import {
  AppendConnection,
  type AppendMessage,
  WrongSize,
} from '../../src/backend/append-connection.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const signal = new AbortController().signal
const message = (text: string): AppendMessage => ({
  flags: [],
  date: '',
  sizeBytes: text.length,
  body: Buffer.from(text),
})

async function* body() {
  yield Buffer.from('abc')
  yield Buffer.from('def')
}

/** A connection to a back-end that offers this and goes on as `script` says after the login. */
async function connected(
  capabilities: string,
  script: (peer: Peer) => Promise<void>,
  allowance?: Allowance,
) {
  const backend = await ScriptedBackend.start(async (peer) => {
    peer.send(`* OK [CAPABILITY IMAP4rev1 ${capabilities}] hi\r\n`)
    await peer.expect(/^L LOGIN .*\r\n/)
    peer.send(`L OK [CAPABILITY IMAP4rev1 ${capabilities}] In\r\n`)
    await script(peer)
  })
  const access = doorTo('fritz', backend.port).accessTo('ann')
  const counted = allowance === undefined ? access : { ...access, share: allowance.share() }
  const connection = await AppendConnection.open(counted, signal)
  return {
    connection,
    backend,
    async [Symbol.asyncDispose]() {
      connection[Symbol.dispose]()
      await backend[Symbol.asyncDispose]()
      assert.deepEqual(backend.failures, [])
    },
  }
}

test('messages go in one command where that is offered', async () => {
  await using both = await connected('MULTIAPPEND LITERAL+', async (peer) => {
    await peer.expect(/^A1 APPEND "a" \{1\+\}\r\nx \{2\+\}\r\nyz\r\n/)
    peer.send('* 2 EXISTS\r\nA1 OK [APPENDUID 7 10:11] done\r\n')
  })
  assert.deepEqual(await both.connection.append('a', [message('x'), message('yz')]), [
    { kind: 'stored', uidValidity: 7, uid: 10 },
    { kind: 'stored', uidValidity: 7, uid: 11 },
  ])
})

test('without it commands are sent one after the other, before any is answered', async () => {
  await using both = await connected('LITERAL+', async (peer) => {
    await peer.expect(/^A1 APPEND "a" \{1\+\}\r\nx\r\nA2 APPEND "a" \{1\+\}\r\ny\r\n/)
    peer.send('A1 OK [APPENDUID 7 10] done\r\nA2 OK done\r\n')
  })
  assert.deepEqual(await both.connection.append('a', [message('x'), message('y')]), [
    { kind: 'stored', uidValidity: 7, uid: 10 },
    { kind: 'stored' },
  ])
})

test('of several that are refused together the bad one is found, and the others are stored in order', async () => {
  await using both = await connected('MULTIAPPEND LITERAL+', async (peer) => {
    for (let uid = 1; ; ) {
      const [, tag, bodies = ''] = await peer.expect(/^(A\d+) APPEND "a"((?: \{1\+\}\r\n\w)+)\r\n/)
      const count = bodies.split('+').length - 1
      if (bodies.includes('b')) peer.send(`${tag} NO [CANNOT] not this\r\n`)
      else {
        peer.send(`${tag} OK [APPENDUID 7 ${uid}:${uid + count - 1}] done\r\n`)
        uid += count
      }
    }
  })
  const outcomes = await both.connection.append('a', ['x', 'y', 'b', 'z'].map(message))
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.kind === 'stored' ? outcome.uid : outcome.code)),
    [1, 2, 'CANNOT', 3],
  )
  both.backend.failures.length = 0
})

test('what is refused of all alike is not tried one by one', async () => {
  await using both = await connected('MULTIAPPEND LITERAL+', async (peer) => {
    await peer.expect(/^A1 [^]*y\r\n/)
    peer.send('A1 NO [OVERQUOTA] full\r\n')
  })
  const refused = { kind: 'refused', code: 'OVERQUOTA', text: 'full' }
  assert.deepEqual(await both.connection.append('a', [message('x'), message('y')]), [
    refused,
    refused,
  ])
  assert.doesNotMatch(both.backend.received, /A2/)
})

test('octets wait where they must be asked for, and one that is refused is not sent', async () => {
  await using both = await connected('', async (peer) => {
    await peer.expect(/^A1 APPEND "a" \{1\}\r\n$/)
    peer.send('+ go\r\n')
    await peer.expect(/^x\r\nA2 APPEND "a" \{1\}\r\n$/)
    peer.send('A1 OK done\r\nA2 NO [TOOBIG] no\r\n')
    await peer.expect(/^A3 APPEND "a" \{1\}\r\n$/)
    peer.send('+ go\r\n')
    await peer.expect(/^z\r\n/)
    peer.send('A3 OK done\r\n')
  })
  const outcomes = await both.connection.append('a', ['x', 'y', 'z'].map(message))
  assert.deepEqual(
    outcomes.map(({ kind }) => kind),
    ['stored', 'refused', 'stored'],
  )
})

test('a message that streams is sent as it comes', async () => {
  await using both = await connected('LITERAL+', async (peer) => {
    await peer.expect(/^A1 APPEND "a" \(\\Seen\) \{6\}\r\n$/)
    peer.send('+ go\r\n')
    await peer.expect(/^abcdef\r\n/)
    peer.send('A1 OK [APPENDUID 1 2] done\r\n')
  })
  const streamed = { flags: ['\\Seen'], date: '', sizeBytes: 6, body: body() }
  assert.deepEqual(await both.connection.append('a', [streamed]), [
    { kind: 'stored', uidValidity: 1, uid: 2 },
  ])
})

for (const [what, sizeBytes] of [
  ['fewer', 7],
  ['more', 5],
] as const) {
  test(`a stream of ${what} octets than were announced ends the connection, the command unfinished`, async () => {
    await using both = await connected('LITERAL+', async (peer) => {
      await peer.expect(/\}\r\n$/)
      peer.send('+ go\r\n')
      assert.ok(!(await peer.end()).endsWith('\r\n'))
    })
    const streamed = { flags: [], date: '', sizeBytes, body: body() }
    await assert.rejects(both.connection.append('a', [streamed]), WrongSize)
    assert.equal(both.connection.isUsable, false)
    await both.backend.peers[0]?.end()
  })
}

for (const [what, said] of [
  ['closes', undefined],
  ['says BYE', '* BYE enough\r\n'],
  ['answers what was not asked', 'A9 OK done\r\n'],
  ['answers with no status', 'A1 WELL done\r\n'],
] as const) {
  test(`where the back-end ${what}, it is not known what became of a message`, async () => {
    await using both = await connected('LITERAL+', async (peer) => {
      await peer.expect(/^A1 [^]*x\r\n/)
      if (said === undefined) peer.socket.destroy()
      else peer.send(said)
    })
    await assert.rejects(both.connection.append('a', [message('x')]), {
      code: 'BACKEND_UNREACHABLE',
    })
    assert.equal(both.connection.isUsable, false)
  })
}

test('a login that is refused says whose it was', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1] hi\r\n')
    await peer.expect(/^L LOGIN "ann\*mailmux" .*\r\n/)
    peer.send('L NO [AUTHENTICATIONFAILED] no\r\n')
  })
  const access = doorTo('fritz', backend.port).accessTo('ann')
  await assert.rejects(AppendConnection.open(access, signal), {
    code: 'BACKEND_LOGIN_REFUSED',
    message: 'fritz, imap as ann: the login was refused',
  })
})

async function closeAfterOne(peer: Peer): Promise<void> {
  await peer.expect(/^A1 APPEND "a" \{1\+\}\r\nx\r\n/)
  peer.send('A1 OK done\r\n* BYE inactive for too long\r\n')
  peer.socket.end()
}

test('a back-end that closes what nobody uses is not blamed', async () => {
  const limits = { connections: undefined, bytesPerSecond: undefined }
  const allowance = new Allowance({ ...limits, clock: new SimulatedClock() })
  await using both = await connected('LITERAL+', closeAfterOne, allowance)
  await both.connection.append('a', [message('x')])
  while (both.connection.isUsable) await turn()
  assert.ok(allowance.seats.tryTake(1), 'it pauses')
})

test('one that is not answered is not waited for when its signal ends, and the back-end not blamed', async () => {
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('* OK [CAPABILITY IMAP4rev1 LITERAL+] hi\r\n')
    await peer.expect(/^L LOGIN .*\r\n/)
    peer.send('L OK [CAPABILITY IMAP4rev1 LITERAL+] In\r\n')
    await peer.expect(/^A1 APPEND "a" \{1\+\}\r\nx\r\n/)
    ended.abort()
    await peer.end()
  })
  const ended = new AbortController()
  const limits = { connections: undefined, bytesPerSecond: undefined }
  const allowance = new Allowance({ ...limits, clock: new SimulatedClock() })
  const access = { ...doorTo('fritz', backend.port).accessTo('ann'), share: allowance.share() }
  using connection = await AppendConnection.open(access, ended.signal)
  await assert.rejects(connection.append('a', [message('x')]), { code: 'BACKEND_UNREACHABLE' })
  assert.ok(allowance.seats.tryTake(1), 'it pauses')
  assert.deepEqual(backend.failures, [])
})
