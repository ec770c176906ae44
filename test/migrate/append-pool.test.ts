/** Several connections that add to one mailbox, against back-ends that follow a script. */
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turnOfLoop } from 'node:timers/promises'
import { Allowance } from '../../src/backend/allowance.ts'
import type { AppendMessage, AppendOutcome } from '../../src/backend/append-connection.ts'
import { AppendPool, type AppendTurn } from '../../src/migrate/append-pool.ts'
import { doorTo } from '../support/mailbox-pair.ts'
import { type Peer, ScriptedBackend } from '../support/peer.ts'
import { passTime, SimulatedClock } from '../support/simulated-clock.ts'

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
  /** Whether the login of that number is accepted; the first is 0. */
  readonly accepts?: (number: number) => boolean | Promise<boolean>
}

/** A pool, and its connections as the back-end sees them, in the order of their logins. */
async function pooled({ capabilities = able, most = 3, clock, share, accepts }: Options = {}) {
  const peers: Peer[] = []
  const ended = Promise.withResolvers<void>()
  const backend = await ScriptedBackend.start(async (peer, number) => {
    peer.send(`* OK [CAPABILITY IMAP4rev1 ${capabilities}] hi\r\n`)
    await peer.expect(/^L LOGIN .*\r\n/)
    if ((await accepts?.(number)) === false) peer.send('L NO [LIMIT] enough\r\n')
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
    logins: () => backend.received.split('L LOGIN').length - 1,
    async [Symbol.asyncDispose]() {
      ended.resolve()
      pool[Symbol.dispose]()
      await backend[Symbol.asyncDispose]()
      assert.deepEqual(backend.failures, [])
    },
  }
}

async function appended(
  turn: AppendTurn,
  text: string,
  before = done,
  folder = 'a',
): Promise<AppendOutcome[]> {
  using _turn = turn
  return await turn.append(folder, messages(text), before)
}

/** One after the other, over connections of their own. */
async function appendedTwo(pool: AppendPool) {
  const first = appended(await pool.turn(), 'x')
  return { first, second: appended(await pool.turn(), 'y', settled(first)) }
}

/** How many connections can be had at once. */
async function available(pool: AppendPool): Promise<number> {
  let count = 0
  for (const waiting of [pool.turn(), pool.turn(), pool.turn()]) {
    for (let turns = 0; turns < 20; turns++) await turnOfLoop()
    if ((await Promise.race([waiting, turnOfLoop()])) !== undefined) count++
  }
  return count
}

const settled = (work: Promise<unknown>): Promise<void> => {
  const end = work.then(() => undefined)
  end.catch(() => undefined)
  return end
}
const stored = (uid: number): AppendOutcome[] => [{ kind: 'stored', uidValidity: 7, uid }]

test('what takes its turn later is sent at once, and ended when all before it is stored', async () => {
  await using both = await pooled()
  const { pool, peers } = both
  const { first, second } = await appendedTwo(pool)
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
  const { first, second } = await appendedTwo(pool)
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
  await using both = await pooled({ accepts: (number) => number === 0 })
  const { pool, peers } = both
  const first = await pool.turn()
  const second = pool.turn()
  first[Symbol.dispose]()
  using _second = await second
  assert.equal(peers.length, 1)
})

test('where the first is refused, all who wait hear of it', async () => {
  await using both = await pooled({ accepts: () => false })
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
  const { first, second } = await appendedTwo(pool)
  const [one, two] = peers
  await two?.expect(/y$/)
  assert.equal(await passTime(clock, two?.end() ?? Promise.resolve('')), '')
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
  const { second } = await appendedTwo(pool)
  await peers[0]?.expect(/x\r\n$/)
  peers[0]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  await peers[1]?.expect(/y\r\n$/)
  peers[1]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await second
  assert.equal(pool.isInOrder('a'), false)
  assert.equal(pool.isInOrder('b'), true)
  assert.equal(await available(pool), 1)
})

test('a login that is refused while the first is under way waits for that', async () => {
  const gate = Promise.withResolvers<boolean>()
  await using both = await pooled({ accepts: (number) => (number === 0 ? gate.promise : false) })
  const { pool } = both
  const first = pool.turn()
  const second = pool.turn()
  // By then the other is refused.
  while (both.logins() < 2) await turnOfLoop()
  await Promise.race([second, turnOfLoop()])
  gate.resolve(true)
  const one = await first
  one[Symbol.dispose]()
  using _second = await second
  assert.equal(both.peers.length, 1)
})

test('what a server was found not to bear is not tried again, and is no reason to do less there', async () => {
  const allowance = new Allowance({
    connections: 60,
    bytesPerSecond: undefined,
    clock: new SimulatedClock(),
  })
  const share = allowance.share()
  using _mailbox = await share.seats(30, signal)
  await using both = await pooled({ share, accepts: (number) => number === 0 })
  assert.equal(await available(both.pool), 1)
  assert.equal(allowance.seats.allowed, 60)
  await using next = await pooled({ share: allowance.share() })
  assert.equal(await available(next.pool), 1)
  assert.deepEqual([both.logins(), next.logins()], [3, 1])
})

test('one that is refused before its end is ended at once, and its connection is of use again', async () => {
  await using both = await pooled({ most: 2 })
  const { pool, peers } = both
  const { first, second } = await appendedTwo(pool)
  await peers[1]?.expect(/y$/)
  peers[1]?.send('A1 NO [CANNOT] not this\r\n')
  assert.equal((await second)[0]?.kind, 'refused')
  await peers[1]?.expect(/^\r\n/)
  // Of another folder: it has nothing to do with the first.
  const other = appended(await pool.turn(), 'z', done, 'b')
  peers[0]?.socket.destroy()
  await assert.rejects(first, { code: 'BACKEND_UNREACHABLE' })
  await peers[1]?.expect(/^A2 APPEND "b" \{1\+\}\r\nz\r\n$/)
  peers[1]?.send('A2 OK [APPENDUID 7 1] done\r\n')
  assert.deepEqual(await other, stored(1))
})

test('of several that are refused before their end the halves wait, too', async () => {
  await using both = await pooled({ most: 2 })
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  using turn = await pool.turn()
  const second = turn.append('a', messages('y', 'z'), settled(first))
  await peers[1]?.expect(/z$/)
  peers[1]?.send('A1 NO [CANNOT] not this\r\n')
  await peers[1]?.expect(/^\r\nA2 APPEND "a" \{1\+\}\r\ny$/)
  peers[0]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await peers[1]?.expect(/^\r\n$/)
  peers[1]?.send('A2 NO [CANNOT] not this\r\n')
  await peers[1]?.expect(/^A3 .*\r\nz\r\n$/)
  peers[1]?.send('A3 OK [APPENDUID 7 2] done\r\n')
  const kinds = (await second).map(({ kind }) => kind)
  assert.deepEqual([(await first)[0]?.kind, ...kinds], ['stored', 'refused', 'stored'])
})

test('where one fails, one that waits to be asked for its octets hears of it', async () => {
  await using both = await pooled({ most: 2 })
  const { pool, peers } = both
  const first = appended(await pool.turn(), 'x')
  using turn = await pool.turn()
  const body = Readable.from([Buffer.from('y')])
  const streamed = (): AppendMessage[] => [{ flags: [], date: '', sizeBytes: 1, body }]
  const second = turn.append('a', streamed, settled(first))
  await peers[1]?.expect(/\{1\}\r\n$/)
  peers[0]?.socket.destroy()
  const cut = { code: 'BACKEND_UNREACHABLE', message: /closed/ }
  await Promise.all([assert.rejects(first, cut), assert.rejects(second, cut)])
  assert.equal(await peers[1]?.end(), '')
})

test('who waits for one that is slow, and moves, is not in the way', async () => {
  const clock = new SimulatedClock()
  await using both = await pooled({ clock, most: 2 })
  const { pool, peers } = both
  const piece = Buffer.alloc(300_000, 'x')
  async function* slowly() {
    for (let sent = 0; sent < 3; sent++) {
      yield piece
      const until = clock.now() + 15_000
      while (clock.now() < until) {
        clock.advance(Math.min(clock.nextDueMs, until) - clock.now())
        await turnOfLoop()
      }
    }
  }
  using turn = await pool.turn()
  const streamed = { flags: [], date: '', sizeBytes: 3 * piece.length, body: slowly() }
  const first = turn.append('a', () => [streamed], done)
  const second = appended(await pool.turn(), 'y', settled(first))
  await peers[1]?.expect(/y$/)
  await peers[0]?.expect(/\{900000\}\r\n$/)
  peers[0]?.send('+ go\r\n')
  await peers[0]?.expect(/x\r\n$/)
  assert.ok(clock.now() >= 45_000)
  peers[0]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await peers[1]?.expect(/^\r\n$/)
  peers[1]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  assert.deepEqual([await first, await second], [stored(1), stored(2)])
})

test('numbers that are not in order behind one that was in the way are told of, too', async () => {
  const clock = new SimulatedClock()
  await using both = await pooled({ clock, most: 2 })
  const { pool, peers } = both
  const { second } = await appendedTwo(pool)
  await peers[1]?.expect(/y$/)
  await passTime(clock, peers[1]?.end() ?? Promise.resolve(''))
  await peers[0]?.expect(/x\r\n$/)
  peers[0]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  while (peers.length < 3) await turnOfLoop()
  await peers[2]?.expect(/y\r\n$/)
  peers[2]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  assert.deepEqual(await second, stored(1))
  assert.equal(pool.isInOrder('a'), false)
})

test('an answer that it is stored, before its end was sent, is no answer', async () => {
  await using both = await pooled({ most: 2 })
  const { pool, peers } = both
  const { first, second } = await appendedTwo(pool)
  await peers[1]?.expect(/y$/)
  peers[1]?.send('A1 OK [APPENDUID 7 1] done\r\n')
  await assert.rejects(second, { code: 'BACKEND_UNREACHABLE', message: /unexpected answer/ })
  await peers[0]?.expect(/x\r\n$/)
  peers[0]?.send('A1 OK [APPENDUID 7 2] done\r\n')
  await first
})
