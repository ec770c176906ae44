import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { SmtpPool } from '../../src/backend/smtp-pool.ts'
import type { SmtpConnection, SmtpPlan, SmtpUser } from '../../src/backend/smtp-connection.ts'
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
    connectTimeoutMs: 1000,
    readyTimeoutMs: 1000,
    commandTimeoutMs: 1000,
    dataTimeoutMs: 1000,
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

async function ready(pool: SmtpPool, plan: SmtpPlan): Promise<SmtpConnection> {
  const waiter = new Waiter()
  const connection = pool.lease(plan, waiter)
  assert.ok(connection)
  await waiter.ready.promise
  return connection
}

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

test('a connection in the middle of something is destroyed, not kept', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    await peer.expect(/^EHLO .*\r\n/)
    peer.send('250-fritz\r\n250 PIPELINING\r\n')
    await peer.end()
  })
  const pool = new SmtpPool()
  const connection = await ready(pool, planFor(fritz.port))
  connection.begin({ path: '', sizeBytes: undefined, body: undefined })
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
  new SmtpPool().lease(planFor(fritz.port, { readyTimeoutMs: 200 }), waiter)
  const { step, reason } = await waiter.failed.promise
  assert.deepEqual([step, reason], ['greeting', 'timeout'])
})

test('a connection that nobody needs is closed in good order after its time, also after use', async () => {
  const { sink, backend } = await Sink.start()
  await using fritz = backend
  const pool = new SmtpPool(200)
  const waiter = new Waiter()
  const connection = pool.lease(planFor(fritz.port), waiter)
  assert.ok(connection)
  connection.begin({ path: '', sizeBytes: undefined, body: undefined })
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
