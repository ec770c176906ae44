/** One message for several back-ends: who gets what, and what the sender hears in every case. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayMeansOf } from '../../../src/daemon/relay/relay-pool.ts'
import {
  alias,
  body,
  type FanOutOptions,
  type Name,
  names,
  openMessage,
  people,
  sendMessage,
  startFanOut,
  withoutTrace,
} from '../../support/fan-out.ts'
import { MemorySpool } from '../../support/memory-spool.ts'
import { ScriptedBackend } from '../../support/peer.ts'
import type { SinkOptions } from '../../support/relay.ts'
import { routeTo } from '../../support/test-runtime.ts'

test('a message goes to every back-end at once, the same octets, each with its own envelope', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida', 'amy', 'kim']), /^250 2\.0\.0 stored$/)
  const { fritz, ingrid, klaus } = place.sinks
  const stored = [fritz, ingrid, klaus].map((sink) => sink.stored[0])
  assert.deepEqual(
    stored.map((message) => message?.recipients),
    [
      ['RCPT TO:<ann@example.com>', 'RCPT TO:<amy@example.com>'],
      ['RCPT TO:<ida@example.com>'],
      ['RCPT TO:<kim@example.com>'],
    ],
  )
  const texts = new Set(stored.map((message) => message?.data))
  assert.equal(texts.size, 1, 'also the trace line is the same')
  assert.equal(withoutTrace([...texts][0] ?? ''), body)
  assert.equal(place.spool.attempts, 0)
  const event = await place.relay.runtime.waitFor('message')
  assert.deepEqual(
    [event.backend, event.recipients, event.code, event.bytes, event.queue],
    ['fritz,ingrid,klaus', 4, 250, body.length, undefined],
  )
  assert.equal(place.relay.runtime.eventsOf('message').length, 1)
})

test('each recipient hears the reply of its own back-end', async () => {
  await using place = await startFanOut({
    sinks: {
      ingrid: { answer: (line) => (line.startsWith('RCPT') ? '552 5.2.2 full\r\n' : undefined) },
      klaus: { answer: (line) => (line.startsWith('RCPT') ? '450 4.2.0 grey\r\n' : undefined) },
    },
  })
  using client = await place.relay.client()
  const replies = await openMessage(client, ['ann', 'ida', 'kim'])
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['250 2.1.0', '552 5.2.2', '450 4.2.0', '354 end d'],
  )
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  for (const name of ['ingrid', 'klaus'] as const) {
    assert.doesNotMatch(place.backends[name].received, /DATA/, 'who took nobody hears no DATA')
  }
  assert.equal(place.spool.attempts, 0, 'who was refused has been told')
})

/** What a back-end does at the end of the message. */
const verdicts = {
  accepted: '250 2.0.0 stored\r\n',
  refused: '554 5.7.1 spam\r\n',
  deferred: '451 4.3.0 later\r\n',
  unknown: undefined,
  partial: '250 2.0.0 first\r\n452 4.2.2 full\r\n',
  'partial refused': '250 2.0.0 first\r\n552 5.2.2 full\r\n',
} as const
type LegOutcome = keyof typeof verdicts
const legOutcomes = Object.keys(verdicts) as LegOutcome[]

function isPartial(outcome: LegOutcome): boolean {
  return outcome.startsWith('partial')
}

/** One target of a leg as the table sees it. */
type Kind = 'A' | 'R' | 'D' | 'U'

const kindsOfLeg: Readonly<Record<LegOutcome, readonly Kind[]>> = {
  accepted: ['A'],
  refused: ['R'],
  deferred: ['D'],
  unknown: ['U'],
  partial: ['A', 'D'],
  'partial refused': ['A', 'R'],
}

type SpoolState = 'good' | 'full' | 'failing' | 'none'

interface Expected {
  readonly reply: RegExp
  /** Back-ends that may get the message twice. */
  readonly uncertain: number
  readonly states: readonly Kind[]
}

/** Said again in other words than in the code: from the promises. */
function expectedOf(legs: readonly LegOutcome[], spool: SpoolState): Expected {
  const kinds = legs.flatMap((leg) => kindsOfLeg[leg])
  const has = (kind: Kind): boolean => kinds.includes(kind)
  const lost = legs.filter((leg) => leg === 'unknown').length
  const holders = legs.filter((leg) => kindsOfLeg[leg].includes('A')).length
  if (!has('R') && !has('D') && !has('U')) return { reply: /^250 /, uncertain: 0, states: [] }
  if (!has('A')) {
    const isFinal = !has('D') && !has('U')
    const reply = isFinal ? /^554 5\.7\.1 spam/ : has('D') ? /^451 4\.3\.0 / : /^451 4\.4\.2 /
    return { reply, uncertain: lost, states: [] }
  }
  const again = { uncertain: lost + holders, states: [] }
  if (spool === 'good') {
    return { reply: /^250 2\.0\.0 ok, queued as Q1$/, uncertain: lost, states: kinds }
  }
  if (spool === 'full') return { reply: /^452 4\.3\.1 /, ...again }
  if (spool === 'failing') return { reply: /^451 4\.3\.0 /, ...again }
  if (has('D') || has('U')) return { reply: /^45[12] 4\./, ...again }
  return { reply: /^55[24] 5\./, uncertain: 0, states: [] }
}

const owners = { fritz: ['ann', 'amy'], ingrid: ['ida', 'ivo'], klaus: ['kim', 'kai'] } as const

/** One recipient at each back-end, two where its answers are to differ, all behind one alias. */
function optionsFor(legs: readonly LegOutcome[], spool: SpoolState): FanOutOptions {
  const sinks: Partial<Record<Name, SinkOptions>> = {}
  const members: [string, string][] = []
  for (const [index, leg] of legs.entries()) {
    const name = names[index] as Name
    const users = isPartial(leg) ? owners[name] : owners[name].slice(0, 1)
    for (const user of users) members.push([`${user}@example.com`, name])
    sinks[name] = { lmtp: isPartial(leg), verdict: () => verdicts[leg] }
  }
  const faults = { good: undefined, full: 'SPOOL_FULL', failing: 'SPOOL_FAILED' } as const
  return {
    sinks,
    routes: { 'team@example.com': alias('team@example.com', members) },
    spool: spool === 'none' ? 'none' : new MemorySpool(faults[spool]),
  }
}

function* combinations(count: number): Generator<LegOutcome[]> {
  for (const first of legOutcomes) {
    if (count === 1) yield [first]
    else for (const rest of combinations(count - 1)) yield [first, ...rest]
  }
}

async function checkOutcome(legs: readonly LegOutcome[], spool: SpoolState): Promise<void> {
  const what = `${legs.join(', ')}; spool ${spool}`
  await using place = await startFanOut(optionsFor(legs, spool))
  using client = await place.relay.client()
  const reply = await sendMessage(client, ['team'])
  const expected = expectedOf(legs, spool)
  assert.match(reply, expected.reply, what)
  const { runtime } = place.relay
  const uncertain = runtime.eventsOf('uncertain').map(({ backend }) => backend)
  assert.equal(uncertain.length, expected.uncertain, what)
  assert.equal(new Set(uncertain).size, uncertain.length, what)
  assert.equal(runtime.eventsOf('message')[0]?.code, Number(reply.slice(0, 3)), what)
  const [kept] = place.spool.kept
  assert.equal(kept === undefined, expected.states.length === 0, what)
  const left = expected.states.filter((kind) => kind !== 'A')
  assert.deepEqual(
    place.spool.states.map((state) => (state.startsWith('owed') ? 'owed' : 'refused')),
    left.map((kind) => (kind === 'R' ? 'refused' : 'owed')),
    what,
  )
  if (kept !== undefined) assert.equal(withoutTrace(kept.content), body, what)
  // Nobody but who said 250 is left out, and nobody who said it is in.
  const owed = place.spool.states.join()
  for (const [index, leg] of legs.entries()) {
    const [first = '', second = ''] = owners[names[index] as Name]
    if (kindsOfLeg[leg][0] === 'A') assert.ok(!owed.includes(first), what)
    if (isPartial(leg) && kept !== undefined) assert.ok(owed.includes(second), what)
  }
}

for (const spool of ['good', 'full', 'failing', 'none'] as const) {
  for (const count of [1, 2] as const) {
    test(`${count} back-ends, spool ${spool}: each outcome has the answer that loses nothing`, async () => {
      for (const legs of combinations(count)) await checkOutcome(legs, spool)
    })
  }
}

test('three back-ends: each outcome has the answer that loses nothing', async () => {
  for (const legs of combinations(3)) await checkOutcome(legs, 'good')
})

test('what is left over is kept with what a later attempt needs, and nothing else', async () => {
  await using place = await startFanOut({
    sinks: {
      ingrid: { verdict: () => '451 4.2.0 busy at ingrid\r\n' },
      klaus: { verdict: () => '550 5.7.1 no\r\n' },
    },
  })
  using client = await place.relay.client()
  client.send('MAIL FROM:<bob@example.net> BODY=8BITMIME\r\n')
  for (const user of ['ann', 'ida', 'kim']) client.send(`RCPT TO:<${user}@example.com>\r\n`)
  client.send('DATA\r\n')
  await client.expect(/354 .*\r\n/)
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 ok, queued as Q1\r\n/)
  const [kept] = place.spool.kept
  assert.ok(kept)
  const { recipients, peer, ...rest } = kept.envelope
  assert.match(peer, /^127\.0\.0\.1:\d+$/)
  assert.deepEqual(rest, {
    sender: 'bob@example.net',
    body: '8BITMIME',
    smtpUtf8: false,
    ret: undefined,
    envelopeId: undefined,
    service: 'smtp',
    session: '1-1',
  })
  const asked = { originalRecipient: undefined, notify: undefined }
  assert.deepEqual(recipients, [
    {
      address: 'ida@example.com',
      ...asked,
      state: { kind: 'owed', backend: 'ingrid', reason: '451 4.2.0 busy at ingrid' },
    },
    {
      address: 'kim@example.com',
      ...asked,
      state: {
        kind: 'refused',
        backend: 'klaus',
        reply: { code: 550, status: '5.7.1', lines: ['no'] },
      },
    },
  ])
  assert.equal(kept.content, place.sinks.fritz.stored[0]?.data, 'as the others got it')
  const told = await place.relay.runtime.waitFor('message')
  assert.deepEqual([told.queue, told.queued_for, told.refused_by], ['Q1', 'ingrid', 'klaus'])
})

test('after the reply nothing of the message stays open, and the next one begins afresh', async () => {
  let isFirst = true
  await using place = await startFanOut({
    sinks: {
      ingrid: {
        verdict: () => {
          const verdict = isFirst ? '451 4.2.0 later\r\n' : '250 2.0.0 stored\r\n'
          isFirst = false
          return verdict
        },
      },
    },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida']), /queued as Q1/)
  assert.match(await sendMessage(client, ['ida', 'ann']), /^250 2\.0\.0 stored/)
  assert.equal(place.backends.fritz.peers.length + place.backends.ingrid.peers.length, 2)
  assert.equal(place.spool.kept.length, 1)
})

function refusingData(answer: string): SinkOptions {
  return { answer: (line) => (line === 'DATA' ? answer : undefined) }
}

test('a refusal of DATA by one back-end leaves its recipients over, and the message to the others', async () => {
  for (const [answer, state] of [
    ['451 4.3.0 no\r\n', 'owed ida@example.com'],
    ['554 5.3.0 no\r\n', 'refused ida@example.com 554'],
  ] as const) {
    await using place = await startFanOut({
      sinks: { ingrid: refusingData(answer) },
    })
    using client = await place.relay.client()
    assert.match(await sendMessage(client, ['ann', 'ida']), /^250 2\.0\.0 ok, queued as Q1/)
    assert.deepEqual(place.spool.states, [state])
    assert.equal(place.sinks.fritz.stored.length, 1)
    assert.equal(place.sinks.ingrid.stored.length, 0)
  }
})

test('where all refuse DATA the client hears it, and there is no message', async () => {
  for (const [fritz, ingrid, reply] of [
    ['554 5.3.0 never\r\n', '554 5.3.1 never\r\n', /^554 5\.3\.0 never/],
    ['554 5.3.0 never\r\n', '452 4.3.1 later\r\n', /^452 4\.3\.1 later/],
  ] as const) {
    await using place = await startFanOut({
      sinks: { fritz: refusingData(fritz), ingrid: refusingData(ingrid) },
    })
    using client = await place.relay.client()
    assert.match(await sendMessage(client, ['ann', 'ida']), reply)
    client.send('RCPT TO:<ann@example.com>\r\n')
    await client.expect(/^503 5\.5\.1 /)
    assert.equal(place.spool.attempts, 0)
  }
})

const splits: readonly [string, FanOutOptions][] = [
  ['the policy `split`', { config: 'fanout: split\n' }],
  ['no spool', { spool: 'none' }],
]

for (const [why, options] of splits) {
  test(`with ${why} the recipients of a second back-end come in another transaction`, async () => {
    await using place = await startFanOut(options)
    using client = await place.relay.client()
    const replies = await openMessage(client, ['ann', 'ida', 'amy', 'kim'])
    assert.deepEqual(
      replies.map((reply) => reply.slice(0, 9)),
      ['250 2.1.0', '452 4.5.3', '250 2.1.0', '452 4.5.3', '354 end d'],
    )
    client.send('x\r\n.\r\n')
    await client.expect(/^250 2\.0\.0 stored\r\n/)
    assert.equal(place.backends.ingrid.peers.length, 0)
    // An alias that spans them all is one recipient; alone it goes everywhere.
    assert.match(await sendMessage(client, ['all']), /^250 2\.0\.0 stored/)
    assert.deepEqual(
      names.map((name) => place.sinks[name].stored.length),
      [2, 1, 1],
    )
    const mixed = await openMessage(client, ['ann', 'all'])
    assert.match(mixed[1] ?? '', /^452 4\.5\.3 /)
  })
}

test('while the spool is full each message goes to one back-end, and mail flows on', async () => {
  const spool = new MemorySpool('SPOOL_FULL')
  await using place = await startFanOut({
    spool,
    sinks: { ingrid: { verdict: () => '451 4.2.0 later\r\n' } },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida']), /^452 4\.3\.1 /)
  const replies = await openMessage(client, ['ann', 'ida'])
  assert.deepEqual(
    replies.map((reply) => reply.slice(0, 9)),
    ['250 2.1.0', '452 4.5.3', '354 end d'],
  )
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(spool.attempts, 1, 'it is left alone')
  assert.equal(place.relay.runtime.eventsOf('internal').length, 0)
})

test('that the spool failed is a fault that is told', async () => {
  await using place = await startFanOut({
    spool: new MemorySpool('SPOOL_FAILED'),
    sinks: { ingrid: { verdict: () => '451 4.2.0 later\r\n' } },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida']), /^451 4\.3\.0 /)
  const { reason, detail } = await place.relay.runtime.waitFor('internal')
  assert.deepEqual([reason, detail], ['spool', 'as the test wants it'])
})

const laterAtIngrid = { ingrid: { verdict: () => '451 4.2.0 later\r\n' } }

/** A spool that takes nothing until it is opened. */
function gatedSpool(): { spool: MemorySpool; open: () => void } {
  const spool = new MemorySpool()
  const { promise, resolve } = Promise.withResolvers<void>()
  spool.gate = promise
  return { spool, open: resolve }
}

test('the reply waits for the spool, and a client that has gone changes nothing', async () => {
  const { spool, open } = gatedSpool()
  await using place = await startFanOut({ spool, sinks: laterAtIngrid })
  const client = await place.relay.client()
  await openMessage(client, ['ann', 'ida'])
  client.send(`${body}.\r\nNOOP\r\n`)
  while (spool.attempts === 0) await new Promise((next) => void setImmediate(next))
  assert.equal(client.unread, '')
  client.socket.resetAndDestroy()
  // What came to the relay before this one was answered has been heard.
  using other = await place.relay.client()
  open()
  const { code } = await place.relay.runtime.waitFor('client_gone')
  assert.equal(code, 250)
  other.socket.destroy()
  await place.relay.runtime.idle()
  assert.deepEqual(spool.states, ['owed ida@example.com'])
})

test('a disk that hangs leaves the message to its sender, and what it takes late is told', async () => {
  const { spool, open } = gatedSpool()
  await using place = await startFanOut({ spool, sinks: laterAtIngrid })
  const { runtime } = place.relay
  relayMeansOf(runtime).spool.patienceMs = 10
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida']), /^451 4\.3\.0 /)
  const { detail } = await runtime.waitFor('internal')
  assert.equal(detail, 'the disk does not answer')
  // It rests: nothing more is begun that may need it.
  assert.match((await openMessage(client, ['ann', 'ida']))[1] ?? '', /^452 4\.5\.3 /)
  assert.deepEqual(
    runtime.eventsOf('uncertain').map(({ backend }) => backend),
    ['fritz'],
  )
  open()
  assert.equal((await runtime.waitFor('uncertain', 2)).backend, 'spool')
  assert.deepEqual(spool.states, ['owed ida@example.com'])
})

test('a sender waits no longer for many verdicts than for one', async () => {
  await using fritz = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz LMTP\r\n')
    await peer.expect(/^LHLO .*\r\n/)
    peer.send('250 fritz\r\n')
    for (const answer of [
      '250 ok\r\n',
      ...Array.from({ length: 9 }, () => '250 ok\r\n'),
      '354 go\r\n',
    ]) {
      await peer.line()
      peer.send(answer)
    }
    await peer.message()
    const answers = setInterval(() => peer.send('250 2.0.0 stored\r\n'), 100)
    await peer.end().finally(() => clearInterval(answers))
  })
  const users = Array.from({ length: 9 }, (_, number) => `u${number}`)
  await using place = await startFanOut({
    sinks: { fritz: { lmtp: true } },
    ports: { fritz: fritz.port },
    routes: Object.fromEntries(
      users.map((user) => [`${user}@example.com`, routeTo('fritz', `${user}@example.com`)]),
    ),
    config: 'limits: {data_timeout: 300ms}\n',
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, users), /^250 2\.0\.0 ok, queued as Q1$/)
  const left = place.spool.states
  assert.ok(left.length > 0 && left.length < users.length, left.join())
  assert.deepEqual(
    left,
    users.slice(-left.length).map((user) => `owed ${user}@example.com`),
  )
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 1)
})

test('many recipients of many transactions never mix', async () => {
  await using place = await startFanOut()
  await Promise.all(
    Array.from({ length: 30 }, async (_, number) => {
      using client = await place.relay.client()
      const users = [['ann', 'ida'], ['kim', 'ann', 'ida'], ['ida']][number % 3] ?? []
      await openMessage(client, users, `bob${number}@example.net`)
      client.send(`Subject: ${number}\r\n\r\nx\r\n.\r\n`)
      await client.expect(/^250 2\.0\.0 stored\r\n/)
    }),
  )
  const { fritz, ingrid, klaus } = place.sinks
  assert.deepEqual(
    [fritz, ingrid, klaus].map((sink) => sink.stored.length),
    [20, 30, 10],
  )
  for (const { sender, data } of [fritz, ingrid, klaus].flatMap((sink) => sink.stored)) {
    const [, number] = /<bob(\d+)@/.exec(sender) ?? []
    assert.match(data, new RegExp(`^Subject: ${number}\r\n`, 'm'))
  }
})

test('a message has one transaction at each back-end, whatever is repeated', async () => {
  await using place = await startFanOut({ routes: people })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'ida', 'ann', 'all', 'ida']), /^250 /)
  for (const name of names) {
    const { stored, commands } = place.sinks[name]
    assert.equal(stored.length, 1)
    assert.equal(stored[0]?.recipients.length, 1, 'one delivery for each address')
    assert.equal(commands.filter((line) => line.startsWith('MAIL')).length, 1)
  }
})
