/** Several connections that add to one mailbox, against back-ends that follow a script. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { Allowance } from '../../src/backend/allowance.ts'
import type { AppendMessage, AppendOutcome } from '../../src/backend/append-connection.ts'
import { AppendPool, type AppendTurn, inTheWayMs } from '../../src/migrate/append-pool.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'

const signal = new AbortController().signal
const able = 'MULTIAPPEND UIDPLUS LITERAL+'
const done = Promise.resolve()

function messages(...texts: string[]): () => AppendMessage[] {
  return () =>
    texts.map((text) => ({
      flags: [],
      date: '',
      sizeBytes: text.length,
      body: Buffer.from(text),
    }))
}

interface Options {
  readonly capabilities?: string
  readonly most?: number
  readonly clock?: SimulatedClock
  readonly share?: ReturnType<Allowance['share']>
  /** How often a login is accepted. */
  readonly logins?: number
}

/** A pool, and its connections as the back-end sees them, in the order of their logins. */
async function pooled({ capabilities = able, most = 3, clock, share, logins = 9 }: Options = {}) {
  const peers: Peer[] = []
  const ended = Promise.withResolvers<void>()
  const backend = await ScriptedBackend.start(async (peer) => {
    peer.send(`* OK [CAPABILITY IMAP4rev1 ${capabilities}] hi\r\n`)
    await peer.expect(/^L LOGIN .*\r\n/)
    if (peers.length >= logins) peer.send('L NO [LIMIT] enough\r\n')
    else {
      peers.push(peer)
      peer.send(`L OK [CAPABILITY IMAP4rev1 ${capabilities}] In\r\n`)
      await ended.promise
    }
  })
  const access = doorTo('fritz', backend.port).accessTo('ann')
  const pool = new AppendPool(share === undefined ? access : { ...access, share }, {
    most,
    signal,
    ...(clock === undefined ? {} : { clock }),
  })
  return {
    pool,
    peers,
    async [Symbol.asyncDispose]() {
      ended.resolve()
      pool[Symbol.dispose]()
      await backend[Symbol.asyncDispose]()
      assert.deepEqual(backend.failures, [])
    },
  }
}

async function appended(turn: AppendTurn, text: string, before = done): Promise<AppendOutcome[]> {
  using _turn = turn
  return await turn.append('a', messages(text), before)
}

const settled = (work: Promise<unknown>): Promise<void> => work.then(() => undefined)
const stored = (uid: number): AppendOutcome[] => [{ kind: 'stored', uidValidity: 7, uid }]

test('what takes its turn later is sent at once, and ended when all before it is stored', async () => {
  await using both = await pooled()
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  const second = appended(await pool.turn(), 'y', settled(first))
  const third = appended(await pool.turn(), 'z', settled(second))
  const [one, two, three] = peers
  await one?.expect(/^A1 APPEND "a" \{1\+\}\r\nx\r\n$/)
  await two?.expect(/^A1 APPEND "a" \{1\+\}\r\ny$/)
  await three?.expect(/^A1 APPEND "a" \{1\+\}\r\nz$/)
  assert.equal(two?.unread, '')
  one?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await two?.expect(/^\r\n$/)
  assert.equal(three?.unread, '')
  two?.send('A1 OK [APPENDUID 7 2] done\r\n')
  await three?.expect(/^\r\n$/)
  three?.send('A1 OK [APPENDUID 7 3] done\r\n')
  assert.deepEqual(await Promise.all([first, second, third]), [stored(1), stored(2), stored(3)])
  assert.equal(pool.isInOrder('a'), true)
})

test('where one fails, what is after it is never ended', async () => {
  await using both = await pooled()
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  const second = appended(await pool.turn(), 'y', settled(first))
  await peers[1]?.expect(/y$/)
  peers[0]?.socket.destroy()
  const cut = { code: 'BACKEND_UNREACHABLE' }
  await Promise.all([assert.rejects(first, cut), assert.rejects(second, cut)])
  assert.equal(await peers[1]?.end(), '')
  // Others are opened for what comes next.
  const next = appended(await pool.turn(), 'z')
  await peers[2]?.expect(/z\r\n$/)
  peers[2]?.send('A1 OK done\r\n')
  assert.deepEqual(await next, [{ kind: 'stored' }])
})

for (const [what, capabilities] of [
  ['takes one message in a command', 'UIDPLUS LITERAL+'],
  ['does not tell numbers', 'MULTIAPPEND LITERAL+'],
] as const) {
  test(`a back-end that ${what} gets one connection`, async () => {
    await using both = await pooled({ capabilities })
    const { pool, peers } = both
    const first = appended(await pool.turn(), 'x')
    const turn = pool.turn()
    await peers[0]?.expect(/x\r\n$/)
    peers[0]?.send('A1 OK done\r\n')
    await first
    const second = appended(await turn, 'y')
    await peers[0]?.expect(/^A2 .*\r\ny\r\n$/)
    peers[0]?.send('A2 OK done\r\n')
    await second
    assert.equal(peers.length, 1)
  })
}

test('there are no more than the run has room for, and room is given back', async () => {
  const limits = { connections: 4, bytesPerSecond: undefined }
  const allowance = new Allowance({ ...limits, clock: new SimulatedClock() })
  const share = allowance.share()
  using _mailbox = await share.seats(3, signal)
  {
    await using both = await pooled({ share })
    const { pool, peers } = both
    using _first = await pool.turn()
    const second = await pool.turn()
    assert.equal(allowance.seats.taken, 4)
    const third = pool.turn()
    second[Symbol.dispose]()
    using _third = await third
    assert.equal(peers.length, 2)
  }
  assert.equal(allowance.seats.taken, 3)
})

test('where a further connection is refused, those that are there do', async () => {
  await using both = await pooled({ logins: 1 })
  const { pool, peers } = both
  const first = await pool.turn()
  const second = pool.turn()
  first[Symbol.dispose]()
  using _second = await second
  assert.equal(peers.length, 1)
})

test('where the first is refused, all who wait hear of it', async () => {
  await using both = await pooled({ logins: 0 })
  const { pool } = both
  const refused = { code: 'BACKEND_THROTTLED' }
  await Promise.all([
    assert.rejects(pool.turn(), refused),
    assert.rejects(pool.turn(), refused),
    assert.rejects(pool.turn(), refused),
  ])
})

test('who keeps those before it waiting begins again after them, and is alone from then on', async () => {
  const clock = new SimulatedClock()
  await using both = await pooled({ clock })
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  const second = appended(await pool.turn(), 'y', settled(first))
  const [one, two] = peers
  await two?.expect(/y$/)
  while (clock.nextDueMs === Number.POSITIVE_INFINITY) await turnOfLoop()
  clock.advance(inTheWayMs)
  assert.equal(await two?.end(), '')
  await one?.expect(/x\r\n$/)
  assert.equal(peers.length, 2, 'not before the first is stored')
  one?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await first
  while (peers.length < 3) await turnOfLoop()
  await peers[2]?.expect(/^A1 APPEND "a" \{1\+\}\r\ny\r\n$/)
  peers[2]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  assert.deepEqual(await second, stored(2))
  using _next = await pool.turn()
  assert.equal(peers.length, 3)
})

test('numbers that are not in order are told of, and one connection is left', async () => {
  await using both = await pooled()
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  const second = appended(await pool.turn(), 'y', settled(first))
  await peers[0]?.expect(/x\r\n$/)
  peers[0]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  await peers[1]?.expect(/y\r\n$/)
  peers[1]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await second
  assert.equal(pool.isInOrder('a'), false)
  assert.equal(pool.isInOrder('b'), true)
  const alone = await pool.turn()
  const waiting = pool.turn()
  assert.equal(await Promise.race([waiting, turnOfLoop()]), undefined)
  alone[Symbol.dispose]()
  using _next = await waiting
})
