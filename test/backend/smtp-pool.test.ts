import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import type { RoomWaiter } from '../../src/backend/backend-place.ts'
import { SmtpPool } from '../../src/backend/smtp-pool.ts'
import { SmtpConnection, type SmtpPlan } from '../../src/backend/smtp-connection.ts'
import type { SmtpUser } from '../../src/backend/smtp-user.ts'
import type { BackEndFailure } from '../../src/protocol/smtp/back-end-action.ts'
import { ScriptedBackend } from '../support/peer.ts'
import { Sink, seen } from '../support/relay.ts'

function planFor(port: number, changes: Partial<SmtpPlan> = {}): SmtpPlan {
  return {
    backend: 'fritz',
    protocol: 'smtp',
    endpoint: { host: '127.0.0.1', port, tls: 'none' },
    trust: undefined,
    hostname: 'mx.example.com',
    clientAddress: 'none',
    client: undefined,
    connectTimeoutMs: 1000,
    readyTimeoutMs: 1000,
    commandTimeoutMs: 1000,
    dataTimeoutMs: 1000,
    connectionLimit: 10,
    ...changes,
  }
}

class Waiter implements SmtpUser {
  readonly failures: BackEndFailure[] = []
  readonly ready = Promise.withResolvers<void>()
  readonly open = Promise.withResolvers<void>()
  readonly answered = Promise.withResolvers<void>()
  readonly failed = Promise.withResolvers<BackEndFailure>()

  connectionReady(): void {
    this.ready.resolve()
  }
  recipientAnswered(): void {}
  dataAnswered(): void {
    this.open.resolve()
  }
  messageAnswered(): void {
    this.answered.resolve()
  }
  drained(): void {}
  settled(): void {}
  connectionFailed(failure: BackEndFailure): void {
    this.failures.push(failure)
    this.failed.resolve(failure)
  }
}

function leased(pool: SmtpPool, plan: SmtpPlan, user: SmtpUser): SmtpConnection {
  const connection = pool.lease(plan, user)
  assert.ok(typeof connection !== 'string')
  return connection
}

async function ready(pool: SmtpPool, plan: SmtpPlan): Promise<SmtpConnection> {
  const waiter = new Waiter()
  const connection = leased(pool, plan, waiter)
  await waiter.ready.promise
  return connection
}

const nullSender = {
  path: '',
  sizeBytes: undefined,
  body: undefined,
  smtpUtf8: false,
  ret: undefined,
  envelopeId: undefined,
} as const

test('a released connection is leased again, the last one first', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const plan = planFor(fritz.port)
  const first = await ready(pool, plan)
  const second = await ready(pool, plan)
  pool.release(first)
  pool.release(second)
  assert.equal(pool.lease(plan, new Waiter()), second)
  assert.equal(pool.lease(plan, new Waiter()), first)
  assert.equal(second.isReused, true)
  first.destroy()
  second.destroy()
})

test('a connection serves its own place and name only', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const plan = planFor(fritz.port)
  pool.release(await ready(pool, plan))
  const other = await ready(pool, planFor(fritz.port, { hostname: 'mx2.example.com' }))
  assert.equal(other.isReused, false)
  other.destroy()
  pool.close()
})

test('a connection that the back-end closes is forgotten', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const plan = planFor(fritz.port)
  const kept = await ready(pool, plan)
  pool.release(kept)
  const forgotten = Promise.withResolvers<void>()
  const { onUseless } = kept
  kept.onUseless = () => {
    onUseless?.()
    forgotten.resolve()
  }
  fritz.peers[0]?.socket.destroy()
  await forgotten.promise
  const fresh = await ready(pool, plan)
  assert.equal(fresh.isReused, false)
  fresh.destroy()
})

test('who has waited for room has only the rest of the time for a connection', async () => {
  await using silent = await ScriptedBackend.start(async (peer) => void (await peer.end()))
  const pool = new SmtpPool()
  const waiter = new Waiter()
  const plan = planFor(silent.port, { readyTimeoutMs: 3_600_000 })
  pool.lease(plan, waiter, { readyBy: performance.now() + 10 })
  const { step, reason } = await waiter.failed.promise
  assert.deepEqual([step, reason], ['greeting', 'timeout'])
})

test('a connection in the middle of something is destroyed, not kept', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250-fritz\r\n250 PIPELINING\r\n')
    await peer.end()
  })
  const pool = new SmtpPool()
  const connection = await ready(pool, planFor(fritz.port))
  connection.begin(nullSender)
  connection.recipient('ann@example.com')
  connection.flush()
  await seen(fritz, /MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n/)
  const [peer] = fritz.peers
  assert.ok(peer)
  const closed = once(peer.socket, 'close')
  pool.release(connection)
  await closed
  assert.equal(connection.isIdle, false)
  assert.doesNotMatch(fritz.received, /QUIT|RSET/)
})

test('closing says QUIT, and does not wait for an answer for long', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250 fritz\r\n')
    await peer.expect(/^QUIT\r\n/)
  })
  const pool = new SmtpPool()
  pool.release(await ready(pool, planFor(fritz.port)))
  pool.close()
  const [peer] = fritz.peers
  assert.ok(peer)
  await seen(fritz, /QUIT\r\n/)
  // The back-end says nothing; the connection is gone nevertheless.
  if (!peer.closed) await once(peer.socket, 'close')
  assert.deepEqual(fritz.failures, [])
})

test('a back-end that is silent costs no more than its time', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    await peer.end()
  })
  const waiter = new Waiter()
  leased(new SmtpPool(), planFor(fritz.port, { readyTimeoutMs: 200 }), waiter)
  const { step, reason } = await waiter.failed.promise
  assert.deepEqual([step, reason], ['greeting', 'timeout'])
})

test('a connection that nobody needs is closed in good order after its time, also after use', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool(200)
  const waiter = new Waiter()
  const connection = leased(pool, planFor(fritz.port), waiter)
  connection.begin(nullSender)
  connection.recipient('ann@example.com')
  connection.data()
  await waiter.open.promise
  // Released while its last reply is being told, as a session does it.
  waiter.messageAnswered = () => {
    pool.release(connection)
    waiter.answered.resolve()
  }
  connection.write('x\r\n')
  connection.endOfData()
  connection.flush()
  await waiter.answered.promise
  await seen(fritz, /QUIT\r\n$/)
  assert.equal(sink.stored.length, 1)
  assert.deepEqual(waiter.failures, [])
})

class RoomSeeker implements RoomWaiter {
  readonly told: string[] = []
  readonly done = Promise.withResolvers<void>()
  readonly #take: () => void

  constructor(take: () => void = () => undefined) {
    this.#take = take
  }

  roomMade(): void {
    this.told.push('room')
    this.#take()
    this.done.resolve()
  }
  waitedInVain(): void {
    this.told.push('vain')
    this.done.resolve()
  }
}

test('there are no more connections than are allowed; who waits gets the next, in order', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const plan = planFor(fritz.port, { connectionLimit: 2 })
  const first = await ready(pool, plan)
  const second = await ready(pool, plan)
  assert.equal(pool.lease(plan, new Waiter()), 'full')
  const got: (SmtpConnection | 'full' | 'spared')[] = []
  const take = (): void => void got.push(pool.lease(plan, new Waiter()))
  const earlier = new RoomSeeker(take)
  const later = new RoomSeeker(take)
  const impatient = new RoomSeeker(take)
  pool.awaitRoom(plan, earlier)
  const leave = pool.awaitRoom(plan, impatient)
  pool.awaitRoom(plan, later)
  leave()
  pool.release(first)
  assert.deepEqual([earlier.told, impatient.told, later.told], [['room'], [], []])
  assert.equal(got[0], first, 'the connection that became free')
  assert.equal(pool.lease(plan, new Waiter()), 'full')
  // One that is lost makes room as well.
  second.destroy()
  assert.deepEqual([later.told, impatient.told], [['room'], []])
  const fresh = got[1]
  assert.ok(fresh instanceof SmtpConnection && fresh !== second)
  const further = pool.lease(plan, new Waiter(), { isFurther: true })
  assert.ok(further instanceof SmtpConnection)
  for (const connection of [first, fresh, further]) connection.destroy()
})

test('who waits for room waits for a bounded time', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const plan = planFor(fritz.port, { connectionLimit: 1, readyTimeoutMs: 200 })
  const only = await ready(pool, plan)
  const seeker = new RoomSeeker()
  pool.awaitRoom(plan, seeker)
  await seeker.done.promise
  only.destroy()
  assert.deepEqual(seeker.told, ['vain'])
})

test('a place that fails is spared, and no other one with it', async () => {
  const { backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool()
  const bad = planFor(fritz.port, { hostname: 'bad.example.com' })
  for (let count = 0; count < 5; count++) pool.failed(bad, `10.0.0.${count}`)
  assert.equal(pool.lease(bad, new Waiter()), 'spared')
  const good = await ready(pool, planFor(fritz.port))
  good.destroy()
})
