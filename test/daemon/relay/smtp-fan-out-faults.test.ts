/** One of several back-ends dies, stalls or talks nonsense: the others get the message, nothing is lost. */
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { countEvent } from '../../../src/daemon/count-event.ts'
import { CounterTable } from '../../../src/daemon/counters.ts'
import { relayMeansOf } from '../../../src/daemon/relay/relay-pool.ts'
import {
  alias,
  body,
  type FanOut,
  type FanOutOptions,
  openMessage,
  sendMessage,
  startFanOut,
  withoutTrace,
} from '../../support/fan-out.ts'
import { type Fault, faults, type Step, serveUpTo, steps } from '../../support/misbehaving.ts'
import { type Peer, ScriptedBackend } from '../../support/peer.ts'
import { seen } from '../../support/relay.ts'

const quick = 'limits: {login_timeout: 300ms, command_timeout: 300ms, data_timeout: 300ms}\n'

/** What a worker would have counted. */
function countsOf({ relay }: FanOut): Readonly<Record<string, number>> {
  const counters = new CounterTable()
  for (const { name, fields } of relay.runtime.events) countEvent(counters, name, fields)
  return counters.snapshot()
}

interface Told {
  /** To ida at the faulty back-end, to ann at the good one, to DATA, to the message. */
  readonly replies: readonly string[]
}

/** `midway` is waited for between the beginning of the message and its end. */
async function deliver(client: Peer, midway: () => unknown): Promise<Told> {
  const opened = await openMessage(client, ['ida', 'ann'])
  if (opened.at(-1)?.startsWith('354') !== true) return { replies: opened }
  client.send(body)
  await midway()
  client.send('.\r\n')
  const [, verdict = ''] = await client.expect(/^(\d{3} .*)\r\n/)
  return { replies: [...opened, verdict] }
}

interface Expected {
  /** Code and status that ida hears. */
  readonly recipient: RegExp
  readonly message: RegExp
  readonly isKept: boolean
  readonly isUncertain: boolean
}

/** The promises again, in other words: who was told 250 and does not have it, has it from the spool. */
function expectedAt(step: Step, fault: Fault, isKeeping: boolean): Expected {
  const isEarly = step === 'banner' || step === 'hello'
  const isAtRecipient = isEarly || step === 'mail' || step === 'rcpt'
  if (isAtRecipient) {
    const isNonsense = fault === 'garbage' || fault === 'long line'
    const answer = isEarly
      ? /^451 4\.4\.1 /
      : fault === 'shutdown'
        ? /^451 4\.3\.2 /
        : isNonsense
          ? /^451 4\.3\.0 /
          : /^451 4\.4\.2 /
    return {
      recipient: isKeeping ? /^250 2\.1\.5 / : answer,
      message: isKeeping ? /^250 2\.0\.0 ok, queued as Q1$/ : /^250 2\.0\.0 stored$/,
      isKept: isKeeping,
      isUncertain: false,
    }
  }
  const isAfterEnd = step === 'half-verdict' || step === 'end'
  const isUnheard = step === 'body' && fault === 'silence'
  return {
    recipient: /^250 /,
    message: /^250 2\.0\.0 ok, queued as Q1$/,
    isKept: true,
    isUncertain: (isAfterEnd || isUnheard) && !(step === 'end' && fault === 'shutdown'),
  }
}

async function checkFault(step: Step, fault: Fault, isKeeping: boolean): Promise<void> {
  const what = `${fault} at ${step}`
  await using ingrid = await ScriptedBackend.start((peer) => serveUpTo(peer, step, fault))
  await using place = await startFanOut({
    ports: { ingrid: ingrid.port },
    config: quick + (isKeeping ? 'on_backend_down: spool\n' : ''),
  })
  using client = await place.relay.client()
  const { runtime } = place.relay
  const isTold = step === 'body' && fault !== 'silence'
  const { replies } = await deliver(client, () => (isTold ? runtime.waitFor('backend') : undefined))
  const expected = expectedAt(step, fault, isKeeping)
  const all = `${what}: ${replies.join(' | ')}`
  assert.match(replies[0] ?? '', expected.recipient, all)
  assert.match(replies[1] ?? '', /^250 2\.1\.0 /, all)
  assert.match(replies[3] ?? '', expected.message, all)
  assert.deepEqual(place.spool.states, expected.isKept ? ['owed ida@example.com'] : [], all)
  const [stored] = place.sinks.fritz.stored
  assert.equal(withoutTrace(stored?.data ?? ''), body, all)
  if (expected.isKept) assert.equal(place.spool.kept[0]?.content, stored?.data, all)
  const [event, ...more] = runtime.eventsOf('backend')
  assert.deepEqual([event?.backend, more.length], ['ingrid', 0], all)
  const counts = countsOf(place)
  assert.equal(counts[`backend_error:ingrid,${event?.step},${event?.reason}`], 1, all)
  assert.equal(counts['uncertain:smtp,ingrid'] ?? 0, expected.isUncertain ? 1 : 0, all)
  assert.equal(counts['message:smtp,accepted'], 1, all)
  assert.deepEqual(ingrid.failures, [], all)
  const isAfterEnd = step === 'end' || step === 'half-verdict'
  const isOpen = isAfterEnd || (step === 'body' && fault === 'silence')
  if (!isOpen) assert.doesNotMatch(ingrid.received, /\r\n\.\r\n/, all)
  // The session goes on, and the good back-end with it.
  assert.match(await sendMessage(client, ['ann']), /^250 2\.0\.0 stored/, all)
}

for (const step of steps) {
  test(`one of two back-ends fails at ${step}, in every way: the other gets the message, the rest is kept`, async () => {
    await Promise.all(
      faults.flatMap((fault) => [checkFault(step, fault, false), checkFault(step, fault, true)]),
    )
  })
}

for (const step of ['data', 'body'] as const) {
  test(`both back-ends fail at ${step}: the client keeps the message, and no dot was seen`, async () => {
    await using one = await ScriptedBackend.start((peer) => serveUpTo(peer, step, 'close'))
    await using two = await ScriptedBackend.start((peer) => serveUpTo(peer, step, 'reset'))
    await using place = await startFanOut({ ports: { fritz: one.port, ingrid: two.port } })
    using client = await place.relay.client()
    const { runtime } = place.relay
    const { replies } = await deliver(client, () => runtime.waitFor('backend', 2))
    assert.match(replies.at(-1) ?? '', /^451 4\.4\.2 /)
    assert.doesNotMatch(one.received + two.received, /\r\n\.\r\n/)
    assert.equal(place.spool.attempts, 0)
    assert.equal(runtime.eventsOf('uncertain').length, 0)
    assert.equal(runtime.eventsOf('backend').length, 2)
  })
}

test('without a spool a back-end lost in the message takes it from all, before anybody has it', async () => {
  await using ingrid = await ScriptedBackend.start((peer) => serveUpTo(peer, 'body', 'close'))
  await using place = await startFanOut({ ports: { ingrid: ingrid.port }, spool: 'none' })
  using client = await place.relay.client()
  const opened = await openMessage(client, ['all'])
  assert.match(opened.at(-1) ?? '', /^354 /)
  client.send(body)
  await place.relay.runtime.waitFor('backend')
  client.send('.\r\n')
  await client.expect(/^451 4\.4\.2 .*\r\n/)
  const { fritz, klaus } = place.backends
  assert.doesNotMatch(fritz.received + klaus.received + ingrid.received, /\r\n\.\r\n/)
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
})

test('without a spool a back-end lost before DATA takes the message from all', async () => {
  await using ingrid = await ScriptedBackend.start((peer) => serveUpTo(peer, 'data', 'close'))
  await using place = await startFanOut({ ports: { ingrid: ingrid.port }, spool: 'none' })
  using client = await place.relay.client()
  const opened = await openMessage(client, ['all'])
  assert.match(opened.at(-1) ?? '', /^451 4\.4\.2 /)
  client.send('RSET\r\n')
  await client.expect(/^250 .*\r\n/)
  assert.match(await sendMessage(client, ['ann']), /^250 2\.0\.0 stored/)
  assert.equal(place.sinks.fritz.stored.length, 1)
})

/** Takes DATA and nothing of the message. */
function stallingBackend(): Promise<ScriptedBackend> {
  return ScriptedBackend.start(async (peer) => {
    await serveUpTo(peer, 'data', 'silence')
    peer.send('354 go\r\n')
    peer.socket.pause()
    await peer.end()
  })
}

/** More than the buffers of two sockets. */
const kilobytes = 12_000
const chunk = Buffer.from(`${'x'.repeat(1022)}\r\n`)

/** Sends a large message and its end; waits where the relay is slow. */
async function pour(client: Peer, lines = kilobytes): Promise<void> {
  client.send('Subject: large\r\n\r\n')
  const piece = Buffer.concat(Array.from({ length: 64 }, () => chunk))
  for (let sent = 0; sent < lines; sent += 64) {
    if (client.socket.write(piece)) continue
    await new Promise((drained) => void client.socket.once('drain', drained))
  }
  client.send('.\r\n')
}

test('a back-end that holds up the others is cut off without a dot, and its recipients are kept', async () => {
  await using ingrid = await stallingBackend()
  await using place = await startFanOut({
    ports: { ingrid: ingrid.port },
    config: 'fanout: {stall: 300ms}\n',
  })
  using client = await place.relay.client()
  const opened = await openMessage(client, ['ann', 'ida'])
  assert.match(opened.at(-1) ?? '', /^354 /)
  await pour(client)
  await client.expect(/^250 2\.0\.0 ok, queued as Q1\r\n/)
  assert.deepEqual(place.spool.states, ['owed ida@example.com'])
  const [kept] = place.spool.kept
  const [stored] = place.sinks.fritz.stored
  assert.equal(kept?.kind, 'file')
  assert.ok(kept.content === stored?.data, 'the copy is what the other has')
  assert.ok(kept.content.length > kilobytes * 1024)
  const { step, reason } = await place.relay.runtime.waitFor('backend')
  assert.deepEqual([step, reason], ['data', 'timeout'])
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
})

test('a large message leaves nothing on disk when all have it', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  await openMessage(client, ['ann', 'ida', 'kim'])
  await pour(client, 2000)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  const { data } = place.sinks.fritz.stored[0] ?? {}
  assert.ok(data !== undefined && data.length > 2000 * 1024)
  assert.ok(place.sinks.klaus.stored[0]?.data === data)
  // It was there, and had no name.
  assert.deepEqual(readdirSync(join(place.stateDir, 'spool')), [])
  assert.equal(place.spool.attempts, 0)
})

test('a copy that cannot be written takes the message from all, and the next ones go one by one', async () => {
  const dir = '/proc/mailmux-has-no-place-here'
  await using place = await startFanOut({ stateDir: dir })
  using client = await place.relay.client()
  await openMessage(client, ['ann', 'ida'])
  await pour(client, 2000)
  await client.expect(/^451 4\.3\.0 .*\r\n/)
  const { fritz, ingrid } = place.backends
  assert.doesNotMatch(fritz.received + ingrid.received, /\r\n\.\r\n/)
  assert.equal((await place.relay.runtime.waitFor('internal')).reason, 'spool')
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
  const replies = await openMessage(client, ['ann', 'ida'])
  assert.match(replies[1] ?? '', /^452 4\.5\.3 /)
  await pour(client, 2000)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
})

test('where there is no descriptor, quota or leave to write for a copy, there is no room', async () => {
  for (const code of ['EMFILE', 'EDQUOT', 'EROFS', 'ENOSPC']) {
    await using place = await startFanOut()
    const { spool } = relayMeansOf(place.relay.runtime)
    spool.openFile = () => Promise.reject(Object.assign(new Error('no file'), { code }))
    using client = await place.relay.client()
    await openMessage(client, ['ann', 'ida'])
    await pour(client, 2000)
    await client.expect(/^452 4\.3\.1 .*\r\n/)
    const { fritz, ingrid } = place.backends
    assert.doesNotMatch(fritz.received + ingrid.received, /\r\n\.\r\n/, code)
  }
})

test('a verdict that is too late for the sender is heard for the log', async () => {
  const say = Promise.withResolvers<string>()
  await using ingrid = await ScriptedBackend.start(async (peer) => {
    await serveUpTo(peer, 'end', 'silence')
    peer.send(await say.promise)
    await peer.expect(/^QUIT\r\n/)
    peer.socket.end()
  })
  await using place = await startFanOut({ ports: { ingrid: ingrid.port }, config: quick })
  const { runtime } = place.relay
  const attempts = Array.from({ length: 3 }, async () => {
    using client = await place.relay.client()
    assert.match(await sendMessage(client, ['ida']), /^451 4\.4\.2 /)
    client.send('QUIT\r\n')
    await client.end()
  })
  await Promise.all(attempts)
  assert.equal(runtime.eventsOf('uncertain').length, 3)
  assert.equal(runtime.eventsOf('verdict.late').length, 0)
  say.resolve('250 2.0.0 stored after all\r\n')
  const { backend, code, waited_ms: waited } = await runtime.waitFor('verdict.late', 3)
  assert.deepEqual([backend, code], ['ingrid', 250])
  assert.ok(waited >= 300)
  await Promise.all(ingrid.peers.map((peer) => peer.end()))
  assert.deepEqual(ingrid.failures, [])
})

test('a client that leaves at any octet of a message leaves none at any back-end', async () => {
  const message = `Subject: x\r\n\r\n..\r\nx\r\n.\r\n`
  await using place = await startFanOut()
  for (let cut = 0; cut < message.length; cut++) {
    const client = await place.relay.client()
    await openMessage(client, ['ann', 'ida', 'kim'])
    client.send(message.slice(0, cut))
    if (cut % 2 === 0) client.socket.end()
    else client.socket.destroySoon()
    await client.end().catch(() => '')
  }
  await place.relay.runtime.idle()
  for (const { received } of Object.values(place.backends)) {
    assert.doesNotMatch(received, /\r\n\.\r\n/)
    assert.equal(received.match(/^DATA\r\n/gm)?.length, message.length)
  }
  assert.equal(place.spool.attempts, 0)
  assert.equal(place.relay.runtime.eventsOf('message').length, 0)
})

test('a message refused on its way reaches nobody, and nothing is kept', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  await openMessage(client, ['ann', 'ida'])
  client.send('Subject: x\r\n\r\nfirst\r\n')
  await seen(place.backends.fritz, /first\r\n/)
  client.send('x\n.\r\n.\r\n')
  await client.expect(/^550 5\.5\.2 /)
  assert.doesNotMatch(place.backends.fritz.received, /\r\n\.\r\n/)
  assert.doesNotMatch(place.backends.ingrid.received, /\r\n\.\r\n/)
  assert.equal(place.spool.attempts, 0)
})

const down: FanOutOptions = { config: 'on_backend_down: spool\n', ports: { ingrid: 9 } }

test('with `on_backend_down: spool` mail for a back-end that is down is taken and kept whole', async () => {
  await using place = await startFanOut(down)
  using client = await place.relay.client()
  const replies = await openMessage(client, ['ida'])
  assert.match(replies[0] ?? '', /^250 2\.1\.5 /)
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 ok, queued as Q1\r\n/)
  assert.equal(withoutTrace(place.spool.kept[0]?.content ?? ''), body)
  const [recipient] = place.spool.kept[0]?.envelope.recipients ?? []
  assert.ok(recipient?.state.kind === 'owed')
  assert.match(recipient.state.reason, /^451 4\.4\.1 /)
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
})

test('where the spool has little room, what needs it is put off at once, and all else goes on', async () => {
  await using place = await startFanOut(down)
  place.spool.isCrowded = true
  using client = await place.relay.client()
  assert.match((await openMessage(client, ['ida']))[0] ?? '', /^452 4\.3\.1 /)
  client.send('RSET\r\n')
  await client.expect(/^250 .*\r\n/)
  const { replies } = await deliver(client, () => undefined)
  assert.match(replies[0] ?? '', /^452 4\.3\.1 /)
  place.spool.isCrowded = false
  client.send('RSET\r\n')
  await client.expect(/^250 .*\r\n/)
  assert.match((await openMessage(client, ['ida']))[0] ?? '', /^250 2\.1\.5 /)
})

test('what was promised to the spool and not taken there is the client’s again', async () => {
  for (const [fault, reply] of [
    ['SPOOL_FULL', /^452 4\.3\.1 .*\r\n/],
    ['SPOOL_FAILED', /^451 4\.3\.0 .*\r\n/],
  ] as const) {
    await using place = await startFanOut(down)
    place.spool.fault = fault
    using client = await place.relay.client()
    await openMessage(client, ['ida'])
    client.send(`${body}.\r\n`)
    await client.expect(reply)
    assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0, 'nobody has it')
    // The spool rests: nothing more is promised.
    const replies = await openMessage(client, ['ida'])
    assert.match(replies[0] ?? '', /^451 4\.4\.1 /)
  }
})

test('without a spool nothing is promised', async () => {
  await using place = await startFanOut({ ...down, spool: 'none' })
  using client = await place.relay.client()
  assert.match((await openMessage(client, ['ida']))[0] ?? '', /^451 4\.4\.1 /)
})

test('a back-end that hangs at RCPT is spared like one that is down, and others never wait for it', async () => {
  await using ingrid = await ScriptedBackend.start((peer) => serveUpTo(peer, 'rcpt', 'silence'))
  await using place = await startFanOut({ ports: { ingrid: ingrid.port }, config: quick })
  await Promise.all(
    Array.from({ length: 5 }, async (_, number) => {
      using client = await place.relay.client(`127.0.0.${(number % 2) + 1}`)
      assert.match((await openMessage(client, ['ida']))[0] ?? '', /^451 4\.4\.2 /)
    }),
  )
  assert.equal(ingrid.peers.length, 5)
  using client = await place.relay.client()
  const replies = await openMessage(client, ['ida', 'ann'])
  assert.match(replies[0] ?? '', /^451 4\.4\.1 /)
  assert.match(replies[1] ?? '', /^250 /)
  assert.equal(ingrid.peers.length, 5, 'not tried')
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
})

test('of an alias with many members at a back-end that is spared, none is asked for', async () => {
  const members = ['ann', 'amy', 'abe'].map((name) => [`${name}@example.com`, 'fritz'] as const)
  const routes = { 'team@example.com': alias('team@example.com', members) }
  await using fritz = await ScriptedBackend.start((peer) => serveUpTo(peer, 'banner', 'close'))
  await using place = await startFanOut({ ports: { fritz: fritz.port }, routes })
  const clients = [await place.relay.client('127.0.0.1'), await place.relay.client('127.0.0.2')]
  for (let attempt = 1; attempt <= 6; attempt++) {
    const client = clients[attempt % 2]
    assert.ok(client)
    assert.match((await openMessage(client, ['team']))[0] ?? '', /^451 4\.4\.1 /)
  }
  for (const client of clients) client.socket.destroy()
  const { runtime } = place.relay
  await runtime.idle()
  const details = runtime.eventsOf('backend').map(({ detail }) => detail)
  assert.equal(details.length, 6, 'one event for each attempt')
  assert.match(details.at(-1) ?? '', /^not tried/)
  assert.equal(fritz.peers.length, 5)
})

test('who finds no room at a back-end waits, and hears 451 when that takes too long', async () => {
  await using place = await startFanOut({
    backend: 'connections: 1',
    config: 'limits: {login_timeout: 400ms}\n',
  })
  using first = await place.relay.client()
  using second = await place.relay.client()
  await openMessage(first, ['ann'])
  const replies = await openMessage(second, ['ann', 'ida'])
  assert.match(replies[0] ?? '', /^451 4\.4\.5 /)
  assert.match(replies[1] ?? '', /^250 /, 'another back-end has room')
  second.send(`${body}.\r\nMAIL FROM:<>\r\n`)
  await second.expect(/^250 .*\r\n250 .*\r\n/)
  second.send('RCPT TO:<ann@example.com>\r\n')
  first.send(`${body}.\r\n`)
  await first.expect(/^250 2\.0\.0 stored\r\n/)
  await second.expect(/^250 .*\r\n/)
  second.send('DATA\r\n')
  await second.expect(/^354 .*\r\n/)
  second.send(`${body}.\r\n`)
  await second.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(place.backends.fritz.peers.length, 1, 'the same connection')
  const { reason, step } = await place.relay.runtime.waitFor('backend')
  assert.deepEqual([step, reason], ['connect', 'timeout'])
})

test('a client that leaves while it waits for room leaves the room to others', async () => {
  await using place = await startFanOut({ backend: 'connections: 1' })
  using first = await place.relay.client()
  const second = await place.relay.client()
  using third = await place.relay.client()
  await openMessage(first, ['ann'])
  second.send('MAIL FROM:<>\r\n')
  await second.expect(/^250 .*\r\n/)
  second.send('RCPT TO:<ann@example.com>\r\n')
  third.send('MAIL FROM:<>\r\n')
  await third.expect(/^250 .*\r\n/)
  third.send('RCPT TO:<ann@example.com>\r\n')
  second.socket.resetAndDestroy()
  first.send(`${body}.\r\n`)
  await first.expect(/^250 2\.0\.0 stored\r\n/)
  await third.expect(/^250 .*\r\n/)
})

test('a back-end that failed is not tried again in the same transaction, whoever is asked for', async () => {
  await using fritz = await ScriptedBackend.start((peer) => serveUpTo(peer, 'banner', 'close'))
  await using place = await startFanOut({ ports: { fritz: fritz.port } })
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\n')
  await client.expect(/^250 .*\r\n/)
  for (const user of ['ann', 'amy', 'ann', 'list']) {
    client.send(`RCPT TO:<${user}@example.com>\r\n`)
    await client.expect(user === 'list' ? /^250 .*\r\n/ : /^451 4\.4\.1 .*\r\n/)
  }
  assert.equal(fritz.peers.length, 1)
  client.send('DATA\r\n')
  await client.expect(/^354 .*\r\n/)
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 ok, queued as Q1\r\n/)
  assert.deepEqual(place.spool.states, ['owed ann@example.com'])
})
