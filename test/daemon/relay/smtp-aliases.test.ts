/** Aliases on the wire: every member is asked, none twice, and what one back-end puts off is not lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  alias,
  body,
  type FanOut,
  type FanOutOptions,
  names,
  openMessage,
  people,
  sendMessage,
  startFanOut,
} from '../../support/fan-out.ts'
import type { SinkOptions } from '../../support/relay.ts'
import { routeTo } from '../../support/test-runtime.ts'

function answeringRcpt(reply: string): SinkOptions {
  return { answer: (line) => (line.startsWith('RCPT') ? `${reply}\r\n` : undefined) }
}

function sendersAt(place: FanOut): (string | undefined)[] {
  return names.map((name) => place.sinks[name].stored[0]?.sender)
}

test('an alias goes to the back-ends of all its members at once', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['all']), /^250 2\.0\.0 stored$/)
  assert.deepEqual(
    names.flatMap((name) => place.sinks[name].stored[0]?.recipients),
    ['RCPT TO:<ann@example.com>', 'RCPT TO:<ida@example.com>', 'RCPT TO:<kim@example.com>'],
  )
  assert.equal((await place.relay.runtime.waitFor('message')).recipients, 1)
})

/** Answers of ingrid and klaus to their members, and what becomes of them. */
const mixtures: readonly [ingrid: string, klaus: string, states: readonly string[]][] = [
  ['550 5.1.1 gone', '250 ok', ['refused ida@example.com 550']],
  ['450 4.2.0 grey', '250 ok', ['owed ida@example.com']],
  ['450 4.2.0 grey', '550 5.1.1 gone', ['owed ida@example.com', 'refused kim@example.com 550']],
]

for (const [ingrid, klaus, states] of mixtures) {
  test(`members that hear ${ingrid} and ${klaus}: the alias is taken, and nobody is forgotten`, async () => {
    await using place = await startFanOut({
      sinks: { ingrid: answeringRcpt(ingrid), klaus: answeringRcpt(klaus) },
    })
    using client = await place.relay.client()
    assert.match(await sendMessage(client, ['all']), /^250 2\.0\.0 ok, queued as Q1$/)
    assert.deepEqual(place.spool.states, states)
    assert.equal(place.sinks.fritz.stored.length, 1)
    assert.doesNotMatch(place.backends.ingrid.received, /DATA/)
  })

  test(`members that hear ${ingrid} and ${klaus}: without a taken message nothing is kept`, async () => {
    await using place = await startFanOut({
      sinks: {
        fritz: { verdict: () => '554 5.7.1 spam\r\n' },
        ingrid: answeringRcpt(ingrid),
        klaus: { ...answeringRcpt(klaus), verdict: () => '554 5.7.1 spam\r\n' },
      },
    })
    using client = await place.relay.client()
    const isFinal = !ingrid.startsWith('4')
    // Only where nobody will ever take it the sender is told so.
    assert.match(await sendMessage(client, ['all']), isFinal ? /^55[04] 5\./ : /^450 4\.2\.0 grey/)
    assert.equal(place.spool.attempts, 0)
    assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
  })
}

test('an alias whose every member is refused is refused, by the one that may yet take it', async () => {
  await using place = await startFanOut({
    sinks: {
      fritz: answeringRcpt('550 5.1.1 gone'),
      ingrid: answeringRcpt('452 4.2.2 full'),
      klaus: answeringRcpt('550 5.7.1 no'),
    },
  })
  using client = await place.relay.client()
  const replies = await openMessage(client, ['all'])
  assert.match(replies[0] ?? '', /^452 4\.2\.2 full/)
  assert.match(replies[1] ?? '', /^554 5\.5\.1 /)
})

test('without a spool an alias waits for a member that is put off, and no other member has the message', async () => {
  await using place = await startFanOut({
    spool: 'none',
    sinks: { ingrid: answeringRcpt('450 4.2.0 grey') },
  })
  using client = await place.relay.client()
  const replies = await openMessage(client, ['all'])
  assert.match(replies[0] ?? '', /^450 4\.2\.0 grey/)
  assert.match(replies[1] ?? '', /^554 5\.5\.1 /)
  assert.doesNotMatch(place.backends.fritz.received, /DATA/)
  // Also another recipient of the same transaction does not bring it to them.
  const others = await openMessage(client, ['all', 'amy'])
  assert.match(others[1] ?? '', /^250 /)
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.deepEqual(
    place.sinks.fritz.stored.map(({ recipients }) => recipients),
    [['RCPT TO:<amy@example.com>']],
  )
  assert.equal(place.sinks.klaus.stored.length, 0)
})

test('without a spool a member that is refused for good is told to the administrator alone', async () => {
  await using place = await startFanOut({
    spool: 'none',
    sinks: { ingrid: answeringRcpt('550 5.1.1 gone') },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['all']), /^250 2\.0\.0 stored/)
  const { backend, code } = await place.relay.runtime.waitFor('unreported')
  assert.deepEqual([backend, code], ['ingrid', 550])
})

test('the owner of an alias is the sender to its members, and to nobody else', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['list', 'amy']), /^250 2\.0\.0 stored/)
  assert.deepEqual(
    place.sinks.fritz.stored
      .map(({ sender, recipients }) => `${sender} ${recipients.join()}`)
      .sort(),
    [
      'MAIL FROM:<bob@example.net> RCPT TO:<amy@example.com>',
      'MAIL FROM:<owner-list@example.com> RCPT TO:<ann@example.com>',
    ],
  )
  assert.equal(place.backends.fritz.peers.length, 2, 'a connection for each sender')
  assert.equal(place.sinks.klaus.stored[0]?.sender, 'MAIL FROM:<owner-list@example.com>')
})

test('one connection to a back-end is enough for two senders there', async () => {
  await using place = await startFanOut({ backend: 'connections: 1' })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['list', 'amy']), /^250 2\.0\.0 stored/)
  assert.equal(place.sinks.fritz.stored.length, 2)
})

test('a notification keeps its null sender, also through an alias with an owner', async () => {
  await using place = await startFanOut()
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['list'], ''), /^250 /)
  assert.deepEqual(sendersAt(place), ['MAIL FROM:<>', 'MAIL FROM:<>', 'MAIL FROM:<>'])
})

test('what is left over of a list is its owner’s, and each sender’s is kept by itself', async () => {
  await using place = await startFanOut({
    sinks: { ingrid: { verdict: () => '451 4.2.0 later\r\n' } },
    routes: {
      ...people,
      'ivo@example.com': routeTo('ingrid', 'ivo@example.com'),
    },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['list', 'ivo']), /^250 2\.0\.0 ok, queued as Q1,Q2$/)
  assert.deepEqual(
    place.spool.kept.map(({ envelope }) => [
      envelope.sender,
      envelope.recipients.map(({ address }) => address).join(),
    ]),
    [
      ['owner-list@example.com', 'ida@example.com'],
      ['bob@example.net', 'ivo@example.com'],
    ],
  )
  assert.equal((await place.relay.runtime.waitFor('message')).queue, 'Q1,Q2')
})

test('an address that is reached by several ways gets one copy', async () => {
  await using place = await startFanOut({
    routes: {
      ...people,
      'both@example.com': alias('both@example.com', [
        ['Ann@example.com', 'fritz'],
        ['ida@example.com', 'ingrid'],
      ]),
    },
  })
  using client = await place.relay.client()
  const users = ['ann', 'all', 'both', 'list', 'ann', 'both']
  assert.match(await sendMessage(client, users), /^250 2\.0\.0 stored/)
  for (const name of names) {
    assert.equal(place.sinks[name].stored.length, 1, name)
    assert.equal(place.sinks[name].stored[0]?.recipients.length, 1, name)
  }
})

test('an address of a smarthost keeps its spelling', async () => {
  const options: FanOutOptions = {
    config: 'smarthost: klaus\n',
    routes: {
      'out@example.com': alias('out@example.com', [
        ['Carl@elsewhere.example', 'klaus'],
        ['carl@elsewhere.example', 'klaus'],
        ['ann@example.com', 'fritz'],
      ]),
    },
  }
  await using place = await startFanOut(options)
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['out']), /^250 2\.0\.0 stored/)
  assert.deepEqual(place.sinks.klaus.stored[0]?.recipients, [
    'RCPT TO:<Carl@elsewhere.example>',
    'RCPT TO:<carl@elsewhere.example>',
  ])
})

test('who was refused and is asked for again, is asked again, and counts once', async () => {
  let asked = 0
  await using place = await startFanOut({
    sinks: {
      ingrid: {
        answer: (line) =>
          line.startsWith('RCPT') && asked++ === 0 ? '450 4.2.0 grey\r\n' : undefined,
      },
    },
  })
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<all@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n/)
  client.send('RCPT TO:<ida@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n354 .*\r\n/)
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(place.sinks.ingrid.stored.length, 1)
  assert.equal(place.spool.attempts, 0)
})

test('a message comes to a bounded number of addresses', async () => {
  const members = Array.from(
    { length: 1000 },
    (_, number) => [`m${number}@example.com`, 'fritz'] as const,
  )
  const routes = Object.fromEntries(
    Array.from({ length: 12 }, (_, number) => {
      const own = members.map(([address, backend]) => [`${number}${address}`, backend] as const)
      return [`l${number}@example.com`, alias(`l${number}@example.com`, own)]
    }),
  )
  await using place = await startFanOut({ routes })
  using client = await place.relay.client()
  const replies = await openMessage(
    client,
    Object.keys(routes).map((key) => key.split('@')[0] ?? ''),
  )
  const codes = replies.map((reply) => reply.slice(0, 9))
  assert.deepEqual(codes, [
    ...Array.from({ length: 10 }, () => '250 2.1.0'),
    '452 4.5.3',
    '452 4.5.3',
    '354 end d',
  ])
  client.send(`${body}.\r\n`)
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(place.sinks.fritz.stored[0]?.recipients.length, 10_000)
})

test('without a spool an alias comes alone, since its members cannot be made up for one by one', async () => {
  await using place = await startFanOut({
    spool: 'none',
    routes: {
      ...people,
      'team@example.com': alias('team@example.com', [
        ['amy@example.com', 'fritz'],
        ['abe@example.com', 'fritz'],
      ]),
    },
  })
  using client = await place.relay.client()
  for (const users of [
    ['ann', 'team'],
    ['team', 'ann'],
  ]) {
    const replies = await openMessage(client, users)
    assert.match(replies[0] ?? '', /^250 /)
    assert.match(replies[1] ?? '', /^452 4\.5\.3 /)
    client.send(`${body}.\r\n`)
    await client.expect(/^250 2\.0\.0 stored\r\n/)
  }
  assert.deepEqual(
    place.sinks.fritz.stored.map(({ recipients }) => recipients.length),
    [1, 2],
  )
})

test('of an LMTP back-end that is lost among its answers, those that it gave count', async () => {
  await using place = await startFanOut({
    sinks: { fritz: { lmtp: true, verdict: () => '250 2.0.0 first\r\n421 4.3.2 going\r\n' } },
  })
  using client = await place.relay.client()
  assert.match(await sendMessage(client, ['ann', 'amy']), /^250 2\.0\.0 ok, queued as Q1$/)
  assert.deepEqual(place.spool.states, ['owed amy@example.com'])
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 1)
})
