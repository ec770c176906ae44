/** Mail for a user who is frozen: what comes, what is on its way, and what waits in the spool. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { raiseBarrier } from '../../src/daemon/barrier.ts'
import type { FreezeAck } from '../../src/daemon/channel.ts'
import { alias, body, openMessage, people, sendMessage, startFanOut } from '../support/fan-out.ts'
import type { FanOut, FanOutOptions } from '../support/fan-out.ts'
import { TestQueue } from '../support/queue.ts'
import { seen, Sink, TestRelay } from '../support/relay.ts'
import { envelopeOf, inMemory, owed, plainMessage } from '../support/spool.ts'
import { tempDir } from '../support/temp-dir.ts'
import { routeTo } from '../support/test-runtime.ts'

const ann = 'ann@example.com'
/** A back-end that says nothing at the end of a message. */
const silent = { verdict: () => '' }

function freeze({ relay }: FanOut, patienceMs?: number): Promise<FreezeAck> {
  const { freezes, sessions } = relay.runtime
  const frozen = freezes.add({ user: ann, epoch: 1, ttlMs: 60_000 })
  return raiseBarrier(frozen, { sessions: [], deliveries: sessions }, patienceMs)
}

function start(options: FanOutOptions = {}): Promise<FanOut> {
  const routes = {
    ...people,
    // Another name for the mailbox of ann.
    'a.smith@example.com': routeTo('fritz', 'a.smith@example.com', 'ann'),
    'pair@example.com': alias('pair@example.com', [
      [ann, 'fritz'],
      ['ida@example.com', 'ingrid'],
    ]),
  }
  return startFanOut({ routes, ...options })
}

test('mail for a frozen user is to come again, by whatever name, and others get theirs', async () => {
  await using place = await start()
  assert.deepEqual(await freeze(place), { complete: true, sessions: 0, deliveries: 0 })
  using client = await place.relay.client()
  const replies = await openMessage(client, ['ann', 'a.smith', 'amy', 'ann+list'])
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['450 4.2.1', '450 4.2.1', '250 2.1.0', '450 4.2.1', '354 end d'],
  )
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.deepEqual(place.sinks.fritz.stored[0]?.recipients, ['RCPT TO:<amy@example.com>'])
  const reasons = place.relay.runtime.eventsOf('refuse').map(({ reason }) => reason)
  assert.deepEqual(reasons, ['move_freeze', 'move_freeze', 'move_freeze'])
  place.relay.runtime.freezes.thaw(ann, 1)
  assert.match(await sendMessage(client, ['ann']), /^250 /)
})

test('who asks for a freeze again does not stop mail for others at the same back-end', async () => {
  await using place = await start()
  await freeze(place)
  using client = await place.relay.client()
  const replies = await openMessage(client, ['ann', 'amy'])
  assert.match(replies.join(), /^450 4\.2\.1 .*,250 .*,354 /)
  client.send('Subject: half\r\n\r\nfirst\r\n')
  await seen(place.backends.fritz, /first\r\n/)
  assert.deepEqual(await freeze(place), { complete: true, sessions: 0, deliveries: 0 })
  client.send('second\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
})

test('a member of an alias that is frozen waits in the spool, or makes the alias wait', async () => {
  await using place = await start()
  await freeze(place)
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['pair']), /^250 2\.0\.0 ok, queued/)
  assert.deepEqual(place.spool.states, [`owed ${ann}`])
  assert.equal(place.sinks.ingrid.stored.length, 1)
  assert.equal(place.backends.fritz.received, '')

  await using other = await start({ spool: 'none' })
  await freeze(other)
  using second = await other.relay.client()
  assert.match(await sendMessage(second, ['pair']), /^554 5\.5\.1 no valid recipients/)
  assert.match(second.received, /\r\n450 4\.2\.1 /)
  assert.deepEqual(other.sinks.ingrid.stored, [])
})

test('a recipient that was taken before the freeze is taken back at DATA', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n/)
  assert.deepEqual(await freeze(place), { complete: true, sessions: 0, deliveries: 1 })
  client.send('DATA\r\n')
  await client.expect(/^451 4\.2\.1 .*\r\n/)
  assert.match(await sendMessage(client, ['amy']), /^250 /)
  const { commands } = place.sinks.fritz
  assert.ok(commands.indexOf('RSET') < commands.indexOf('DATA'), commands.join())
  assert.deepEqual(place.relay.runtime.eventsOf('backend'), [])
})

test('a message on its way leaves the back-end; with a spool the others get it', async () => {
  for (const spool of [undefined, 'none'] as const) {
    await using place = await start(spool === undefined ? {} : { spool })
    using client = await place.relay.client()
    const recipients = spool === undefined ? ['ann', 'ida'] : ['ann']
    assert.match((await openMessage(client, recipients)).at(-1) ?? '', /^354/)
    client.send('Subject: half\r\n\r\nfirst\r\n')
    await seen(place.backends.fritz, /first\r\n/)
    assert.deepEqual(await freeze(place), { complete: true, sessions: 0, deliveries: 1 })
    client.send('second\r\n.\r\n')
    if (spool === 'none') await client.expect(/^451 4\.2\.1 .*\r\n/)
    else {
      await client.expect(/^250 2\.0\.0 ok, queued/)
      assert.deepEqual(place.spool.states, [`owed ${ann}`])
      assert.match(place.sinks.ingrid.stored[0]?.data ?? '', /first\r\nsecond\r\n$/)
    }
    assert.doesNotMatch(place.backends.fritz.received, /\r\n\.\r\n/)
    assert.deepEqual(place.sinks.fritz.stored, [])
  }
})

test('by LMTP each recipient of a message on its way is told to come again', async () => {
  const { sink, backend } = await Sink.start({ lmtp: true })
  await using fritz = backend
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    offered: ['PIPELINING'],
    backends: { fritz: `lmtp: ${fritz.port}, tls: none` },
  })
  using client = await relay.connect()
  await client.expect(/^220 .*\r\n/)
  client.send('LHLO x\r\n')
  await client.expect(/^250 .*\r\n/m)
  await openMessage(client, ['ann', 'amy'])
  client.send('Subject: half\r\n\r\nfirst\r\n')
  await seen(fritz, /first\r\n/)
  const { freezes, sessions } = relay.runtime
  const frozen = freezes.add({ user: ann, epoch: 1, ttlMs: 60_000 })
  const ack = await raiseBarrier(frozen, { sessions: [], deliveries: sessions })
  assert.deepEqual(ack, { complete: true, sessions: 0, deliveries: 1 })
  client.send('second\r\n.\r\nNOOP\r\n')
  await client.expect(/^451 4\.2\.1 .*\r\n451 4\.2\.1 .*\r\n250 /)
  assert.deepEqual(sink.stored, [])
})

test('the verdict on a message whose end was sent is waited for', async () => {
  await using place = await start({ sinks: { fritz: silent } })
  using client = await place.relay.client()
  await openMessage(client, ['ann'])
  client.send(`${body}.\r\n`)
  await seen(place.backends.fritz, /\r\n\.\r\n/)
  let isFrozen = false
  const frozen = freeze(place).then((ack) => {
    isFrozen = true
    return ack
  })
  using other = await place.relay.client()
  assert.match(await sendMessage(other, ['ann']), /^554 /)
  assert.equal(isFrozen, false)
  place.backends.fritz.peers[0]?.send('250 2.0.0 stored\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.deepEqual(await frozen, { complete: true, sessions: 0, deliveries: 1 })
})

test('a verdict that does not come in time is waited for no more, and counts as uncertain', async () => {
  await using place = await start({ sinks: { fritz: silent } })
  using client = await place.relay.client()
  await openMessage(client, ['ann'])
  client.send(`${body}.\r\n`)
  await seen(place.backends.fritz, /\r\n\.\r\n/)
  assert.deepEqual(await freeze(place, 30), { complete: true, sessions: 0, deliveries: 1 })
  await client.expect(/^451 4\.4\.2 .*\r\n/)
  assert.equal((await place.relay.runtime.waitFor('uncertain')).backend, 'fritz')
})

test('what the spool owes to a frozen user waits for the thaw, and no attempt is counted', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _fritz = backend
  const routes = {
    [ann]: routeTo('fritz', ann),
    'amy@example.com': routeTo('fritz', 'amy@example.com'),
  }
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port },
    routes,
  })
  const { freezes } = queue.runtime
  freezes.add({ user: ann, epoch: 3, ttlMs: 60_000 })
  const envelope = envelopeOf([owed(ann), owed('amy@example.com')])
  const id = await queue.accept(envelope, inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 2)
  assert.deepEqual(
    sink.stored.map(({ recipients }) => recipients),
    [['RCPT TO:<amy@example.com>']],
  )
  const alone = await queue.accept(envelopeOf([owed(ann)]), inMemory(plainMessage))
  const last = await queue.runtime.waitFor('delivery', 3)
  assert.deepEqual([last.result, last.detail], ['deferred', 'its mailbox is being moved'])
  while (queue.queue.entries.get(alone)?.state !== 'waiting') await new Promise(setImmediate)
  const file = await queue.store.open(alone)
  assert.equal(file.progress.attempts, 0)
  await file.close()
  while (queue.queue.entries.get(id)?.state !== 'waiting') await new Promise(setImmediate)
  freezes.thaw(ann, 3)
  await queue.runtime.waitFor('delivery', 5)
  assert.equal(sink.stored.length, 3)
  await queue.queue.stop()
  assert.deepEqual((await queue.store.contents()).ids, [])
})

test('a delivery from the spool leaves the back-end, and ends the wait for its verdict', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start(silent)
  await using _fritz = backend
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port },
  })
  await queue.accept(envelopeOf([owed(ann)]), inMemory(plainMessage))
  await seen(backend, /\r\n\.\r\n/)
  const freeze = queue.runtime.freezes.add({ user: ann, epoch: 1, ttlMs: 60_000 })
  const [delivery] = queue.deliveries
  assert.equal(delivery?.concerns(freeze), true)
  const ack = await raiseBarrier(freeze, { sessions: [], deliveries: queue.deliveries }, 30)
  assert.deepEqual(ack, { complete: true, sessions: 0, deliveries: 1 })
  const end = await queue.runtime.waitFor('delivery')
  assert.equal(end.result, 'deferred')
  assert.match(end.detail, /^left, since a mailbox is being moved/)
  assert.equal(queue.runtime.eventsOf('uncertain').length, 1)
  assert.equal(sink.stored.length, 1)
})
