/** Who gets mail, who does not, and what is said; on the wire, with back-ends that see it or do not. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Resolution } from '../../../src/mail/route.ts'
import { alias } from '../../support/fan-out.ts'
import { routeTo } from '../../support/test-runtime.ts'
import { Sink, type SinkOptions, TestRelay, users } from '../../support/relay.ts'

const routes: Readonly<Record<string, Resolution>> = {
  ...users,
  'postmaster@example.com': routeTo('fritz', 'postmaster@example.com'),
  'team@example.com': alias('team@example.com', [
    ['ann@example.com', 'fritz'],
    ['amy@example.com', 'fritz'],
  ]),
  'all@example.com': alias('all@example.com', [
    ['ann@example.com', 'fritz'],
    ['ida@example.com', 'ingrid'],
  ]),
  'list@example.com': alias(
    'list@example.com',
    [['amy@example.com', 'fritz']],
    'owner-list@example.com',
  ),
  'utf@example.com': routeTo('fritz', 'ü@example.com'),
  'gone@example.com': {
    result: 'reject',
    user: 'gone@example.com',
    code: 551,
    status: '5.1.6',
    text: 'moved',
  },
  'soon@example.com': {
    result: 'defer',
    user: 'soon@example.com',
    code: 450,
    status: '4.2.1',
    text: 'moving',
  },
  'broken@example.com': { result: 'error', user: 'broken@example.com', reason: 'damaged record' },
  'circle@example.com': {
    result: 'error',
    user: 'circle@example.com',
    reason: 'aliases go in a circle',
    isExpansion: true,
  },
  'stray@example.com': routeTo('nowhere', 'stray@example.com'),
}

async function start(options: SinkOptions = {}, protocol = 'smtp') {
  const fritz = await Sink.start(options)
  const ingrid = await Sink.start()
  const stack = new AsyncDisposableStack()
  stack.use(fritz.backend)
  stack.use(ingrid.backend)
  const relay = stack.use(
    await TestRelay.start({
      backends: {
        fritz: `${protocol}: ${fritz.backend.port}, tls: none`,
        ingrid: ingrid.backend.port,
      },
      routes,
    }),
  )
  return { fritz, ingrid, relay, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

const answers: readonly [recipient: string, reply: RegExp, reason?: string][] = [
  ['<x@foreign.example>', /^550 5\.7\.1 relaying denied/, 'relay_denied'],
  ['<x%foreign.example@example.com>', /^550 5\.1\.1 /],
  ['<x%foreign.example@[127.0.0.1]>', /^550 5\.7\.1 /, 'relay_denied'],
  ['<foreign.example!x>', /^501 5\.1\.3 /],
  ['<foreign.example!x@example.com>', /^550 5\.1\.1 /],
  ['<@example.com:x@foreign.example>', /^550 5\.7\.1 /, 'relay_denied'],
  ['<"x@foreign.example"@example.com>', /^553 5\.1\.3 /],
  ['<"x@foreign.example">', /^553 5\.1\.3 /],
  ['<"x%foreign.example"@example.com>', /^553 5\.1\.3 /],
  ['<x@foreign.example@example.com>', /^501 5\.1\.3 /],
  ['<x@example.com@foreign.example>', /^501 5\.1\.3 /],
  ['<x@example.com,y@foreign.example>', /^501 5\.1\.3 /],
  ['<x@example.com>;y', /^501 5\.1\.3 /],
  ['<x>y@example.com>', /^501 5\.1\.3 /],
  ['<>', /^501 5\.1\.3 /],
  ['<@>', /^501 5\.1\.3 /],
  ['<@example.com>', /^501 5\.1\.3 /],
  ['<""@example.com>', /^501 5\.1\.3 /],
  ['<" "@example.com>', /^501 5\.1\.3 /],
  ['<.@example.com>', /^501 5\.1\.3 /],
  ['<..@example.com>', /^501 5\.1\.3 /],
  ['<a..b@example.com>', /^501 5\.1\.3 /],
  ['<a.@example.com>', /^501 5\.1\.3 /],
  ['<ann@[IPv6:::1]>', /^550 5\.7\.1 /, 'relay_denied'],
  ['<ann@[127.0.0.1]>', /^550 5\.7\.1 /, 'relay_denied'],
  ['<ann@example.com >', /^501 5\.1\.3 /],
  ['<ann@example.com\0.foreign.example>', /^501 5\.5\.2 /, 'ctl_in_command'],
  [`<ann@${'x'.repeat(64)}.com>`, /^501 5\.1\.3 /],
  [`<ann@${'xx.'.repeat(85)}com>`, /^501 5\.1\.3 /],
  ['<ann@xn--a.com>', /^501 5\.1\.3 /],
  ['<nobody@example.com>', /^550 5\.1\.1 /],
  ['<__proto__@example.com>', /^550 5\.1\.1 /],
  ['<ann@__proto__>', /^550 5\.7\.1 /, 'relay_denied'],
  ['<gone@example.com>', /^551 5\.1\.6 moved/],
  ['<soon@example.com>', /^450 4\.2\.1 moving/],
  ['<broken@example.com>', /^451 4\.3\.0 /],
  ['<stray@example.com>', /^451 4\.3\.0 /],
  ['<circle@example.com>', /^451 4\.6\.0 alias expansion error/],
  ['<utf@example.com>', /^550 5\.6\.7 /],
]

/** What an administrator should look at, of those above. */
const faults: Readonly<Record<string, RegExp>> = {
  '<broken@example.com>': /^damaged record$/,
  '<stray@example.com>': /^nowhere has neither lmtp nor smtp in the config$/,
  '<circle@example.com>': /^aliases go in a circle$/,
}

for (const [recipient, reply, reason] of answers) {
  const shown = JSON.stringify(recipient.slice(0, 60))
  test(`${shown} is answered ${String(reply)}, whoever sends, and no back-end hears of it`, async () => {
    await using place = await start()
    for (const sender of ['<>', '<ann@example.com>']) {
      using client = await place.relay.client()
      client.send(`MAIL FROM:${sender}\r\n`)
      await client.expect(/^250 .*\r\n/)
      client.send(`RCPT TO:${recipient}\r\n`)
      await client.expect(reply)
      client.send('QUIT\r\n')
      await client.end()
    }
    await place.relay.runtime.idle()
    const reasons = place.relay.runtime.eventsOf('refuse').map((event) => event.reason)
    assert.deepEqual(reasons, reason === undefined ? [] : [reason, reason])
    const fault = faults[recipient]
    const told = place.relay.runtime.eventsOf('internal')
    assert.equal(told.length, fault === undefined ? 0 : 2)
    for (const event of told) {
      assert.equal(event.reason, 'delivery_route')
      assert.match(event.detail, fault ?? /never/)
    }
    assert.equal(place.fritz.backend.peers.length + place.ingrid.backend.peers.length, 0)
  })
}

const accepted: readonly [recipient: string, passed: readonly string[]][] = [
  ['<ann@example.com>', ['<ann@example.com>']],
  ['<ann@EXAMPLE.COM.>', ['<ann@example.com>']],
  ['<Ann@Example.com>', ['<ann@example.com>']],
  ['<"ann"@example.com>', ['<ann@example.com>']],
  ['<@foreign.example:ann@example.com>', ['<ann@example.com>']],
  ['<@a.example,@b.example:ann@example.com>', ['<ann@example.com>']],
  ['<postmaster>', ['<postmaster@example.com>']],
  ['<POSTMASTER>', ['<postmaster@example.com>']],
  ['<team@example.com>', ['<ann@example.com>', '<amy@example.com>']],
]

for (const [recipient, passed] of accepted) {
  test(`mail for ${recipient} goes to ${passed.join()} at its back-end`, async () => {
    await using place = await start()
    using client = await place.relay.client()
    client.send(`MAIL FROM:<>\r\nRCPT TO:${recipient}\r\nDATA\r\n`)
    await client.expect(/^250 .*\r\n250 .*\r\n354 .*\r\n/)
    client.send('x\r\n.\r\n')
    await client.expect(/^250 2\.0\.0 stored/)
    const [stored] = place.fritz.sink.stored
    assert.deepEqual(
      stored?.recipients,
      passed.map((path) => `RCPT TO:${path}`),
    )
    assert.equal(stored.sender, 'MAIL FROM:<>')
    assert.equal((await place.relay.runtime.waitFor('message')).recipients, 1)
  })
}

test('a recipient of a second back-end is to be sent in another transaction', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<ida@example.com>\r\n')
  client.send('RCPT TO:<amy@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n452 4\.5\.3 .*\r\n250 .*\r\n354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  assert.equal(place.fritz.sink.stored[0]?.recipients.length, 2)
  assert.equal(place.ingrid.backend.peers.length, 0)
})

test('after refused recipients another back-end may have the message', async () => {
  await using place = await start({
    answer: (line) => (line.startsWith('RCPT') ? '550 5.2.1 disabled\r\n' : undefined),
  })
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<ida@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n550 5\.2\.1 disabled\r\n250 .*\r\n354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  assert.equal(place.ingrid.sink.stored.length, 1)
  assert.doesNotMatch(place.fritz.backend.received, /DATA/)
})

test('of one message only the accepted recipients go on, and each hears its own reply', async () => {
  await using place = await start({
    answer: (line) => (line.includes('<amy') ? '450 4.2.0 later\r\n' : undefined),
  })
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<amy@example.com>\r\nRCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n450 4\.2\.0 later\r\n250 .*\r\n354 .*\r\n/)
})

test('where nobody was accepted a message is refused at DATA, and no back-end is told', async () => {
  await using place = await start({
    answer: (line) =>
      line.startsWith('RCPT') ? '550 5.1.1 no\r\n' : line === 'DATA' ? '503 no\r\n' : undefined,
  })
  using client = await place.relay.client()
  client.send(
    'MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<x@foreign.example>\r\nDATA\r\n',
  )
  await client.expect(
    /^250 .*\r\n550 5\.1\.1 .*\r\n550 5\.7\.1 .*\r\n554 5\.5\.1 no valid recipients\r\n/,
  )
  client.send('MAIL FROM:<>\r\nRCPT TO:<ida@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n/)
})

test('an alias is accepted when one of its members is', async () => {
  await using place = await start({
    answer: (line) => (line.includes('<ann') ? '550 5.1.1 no\r\n' : undefined),
  })
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<team@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n354 .*\r\n/)
})

test('an alias with an owner has a transaction of its own, from its owner', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<list@example.com>\r\n')
  client.send('RCPT TO:<ann@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n452 4\.5\.3 .*\r\n354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n/)
  assert.equal(place.fritz.sink.stored[0]?.sender, 'MAIL FROM:<owner-list@example.com>')
  client.send('MAIL FROM:<bob@example.net>\r\nRCPT TO:<ann@example.com>\r\n')
  client.send('RCPT TO:<list@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n452 4\.5\.3 .*\r\n/)
})

test('a notification keeps its null sender, also through an alias with an owner', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<list@example.com>\r\nDATA\r\n')
  await client.expect(/354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored/)
  assert.equal(place.fritz.sink.stored[0]?.sender, 'MAIL FROM:<>')
})

test('an LMTP back-end gets all its recipients in one transaction', async () => {
  await using place = await start({ lmtp: true }, 'lmtp')
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\nRCPT TO:<amy@example.com>\r\nDATA\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n250 .*\r\n354 .*\r\n/)
  client.send('x\r\n.\r\n')
  await client.expect(/^250 2\.0\.0 stored\r\n$/)
  assert.equal(place.fritz.sink.commands[0], 'LHLO mx.example.com')
  assert.deepEqual(place.fritz.sink.stored[0]?.recipients, [
    'RCPT TO:<ann@example.com>',
    'RCPT TO:<amy@example.com>',
  ])
})

const mixed: readonly [verdicts: string, reply: RegExp, uncertain: number][] = [
  ['250 2.0.0 a\r\n250 2.0.0 b\r\n', /^250 2\.0\.0 a/, 0],
  ['250 2.0.0 a\r\n452 4.2.2 full\r\n', /^452 4\.2\.2 full/, 1],
  ['250 2.0.0 a\r\n421 4.3.2 going\r\n', /^451 4\.4\.2 /, 1],
  ['421 4.3.2 going\r\n', /^451 4\.3\.2 /, 0],
  ['552 5.2.2 full\r\n250 2.0.0 b\r\n', /^552 5\.2\.2 full/, 0],
  ['552 5.2.2 full\r\n451 4.2.0 later\r\n', /^451 4\.2\.0 later/, 0],
]

for (const [verdicts, reply, uncertain] of mixed) {
  test(`${JSON.stringify(verdicts)} from LMTP is ${String(reply)} for the message`, async () => {
    await using place = await start({ lmtp: true, verdict: () => verdicts }, 'lmtp')
    using client = await place.relay.client()
    client.send('MAIL FROM:<>\r\nRCPT TO:<team@example.com>\r\nDATA\r\n')
    await client.expect(/354 .*\r\n/)
    client.send('x\r\n.\r\n')
    await client.expect(reply)
    assert.equal(place.relay.runtime.eventsOf('uncertain').length, uncertain)
  })
}

test('the same generation decides a transaction from its beginning to its end', async () => {
  await using place = await start()
  using client = await place.relay.client()
  client.send('MAIL FROM:<>\r\n')
  await client.expect(/^250 .*\r\n/)
  const { runtime } = place.relay
  const other = await TestRelay.start({ backends: { fritz: 9, ingrid: 9 }, routes: {} })
  runtime.current = other.runtime.current
  await other[Symbol.asyncDispose]()
  client.send('RCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n/)
  client.send('RSET\r\nMAIL FROM:<>\r\nRCPT TO:<ann@example.com>\r\n')
  await client.expect(/^250 .*\r\n250 .*\r\n550 5\.1\.1 /)
})
