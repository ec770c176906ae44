/** `serve lmtp`: each recipient has its own answer, whatever the back-end speaks. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMapOf, startDaemon } from '../support/daemon.ts'
import { ask, deliver, reply } from '../support/message.ts'
import { MemorySpool } from '../support/memory-spool.ts'
import { Peer, ScriptedBackend } from '../support/peer.ts'
import { Sink, seen, TestRelay, users } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'
import { routeTo } from '../support/test-runtime.ts'

const to = (name: string): string => `RCPT TO:<${name}@example.com>`

async function hello(relay: TestRelay): Promise<Peer> {
  const client = await relay.connect()
  await client.expect(/^220 mx\.example\.com LMTP .*\r\n/)
  await ask(client, 'LHLO lists.example.com')
  return client
}

const team = {
  result: 'expand',
  user: 'team@example.com',
  destinations: ['bob', 'eve'].map((name) => ({
    address: `${name}@example.com`,
    backend: 'fritz',
    login: name,
  })),
} as const

test('an LMTP back-end answers for each recipient, in the order of RCPT', async () => {
  const { sink, backend } = await Sink.start({
    lmtp: true,
    answer: (command) => (command.includes('amy@') ? '550 5.1.1 gone\r\n' : undefined),
    // ann, and the two members of team.
    verdict: () => '250 2.0.0 one\r\n452 4.2.2 two\r\n250 2.0.0 three\r\n250 2.0.0 four\r\n',
  })
  await using fritz = backend
  const spool = new MemorySpool()
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    offered: ['PIPELINING', 'DSN'],
    spool,
    backends: { fritz: `lmtp: ${fritz.port}` },
    routes: {
      ...users,
      'team@example.com': team,
      'ida@example.com': routeTo('fritz', 'ida@example.com'),
    },
  })
  using client = await hello(relay)
  const asTeam = `${to('team')} NOTIFY=DELAY,FAILURE ORCPT=rfc822;Team@example.com`
  const mail = 'MAIL FROM:<joe@example.net> RET=HDRS ENVID=e1'
  const replies = await ask(client, mail, to('ann'), to('amy'), asTeam, to('ida'))
  assert.match(replies.join(), /^250.*,250.*,550 5\.1\.1 gone,250.*,250/)
  await ask(client, 'DATA')
  client.send('x\r\n.\r\n')
  const verdicts = [await reply(client), await reply(client), await reply(client)]
  // Of the alias one member has it: the other's copy is ours from now on, and nobody else's.
  assert.deepEqual(verdicts, ['250 2.0.0 one', '250 2.0.0 ok, queued as Q1', '250 2.0.0 four'])
  const [kept] = spool.kept
  assert.deepEqual([kept?.envelope.ret, kept?.envelope.envelopeId], ['HDRS', 'e1'])
  assert.deepEqual(
    kept?.envelope.recipients.map(({ state, ...recipient }) => [state.kind, recipient]),
    [
      [
        'owed',
        {
          address: 'bob@example.com',
          notify: ['DELAY', 'FAILURE'],
          originalRecipient: 'rfc822;Team@example.com',
        },
      ],
    ],
  )
  assert.match(sink.stored[0]?.data ?? '', /\(mailmux\) with LMTP id 1-1;/)
  const event = await relay.runtime.waitFor('message')
  assert.deepEqual([event.service, event.recipients, event.code], ['lmtp', 3, 250])
  assert.deepEqual(relay.runtime.eventsOf('uncertain'), [])
})

test('whichever back-end answers for its recipients first, each hears its own verdict', async () => {
  const first = Promise.withResolvers<void>()
  const other = await Sink.start({ verdict: () => '451 4.2.0 later\r\n' })
  await using ingrid = other.backend
  // ann is asked for first, and answered last.
  await using fritz = await ScriptedBackend.start(async (peer) => {
    const sink = new Sink()
    await first.promise
    await sink.serve(peer)
  })
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: fritz.port, ingrid: ingrid.port },
    spool: new MemorySpool(),
  })
  using client = await hello(relay)
  client.send(`MAIL FROM:<>\r\n${to('ann')}\r\n${to('ida')}\r\n${to('amy')}\r\nDATA\r\n`)
  await seen(ingrid, /^RCPT .*\r\n/m)
  first.resolve()
  await client.expect(/^(?:250 .*\r\n){4}354 .*\r\n/)
  client.send('x\r\n.\r\n')
  const verdicts = [await reply(client), await reply(client), await reply(client)]
  assert.deepEqual(verdicts, ['250 2.0.0 stored', '451 4.2.0 later', '250 2.0.0 stored'])
})

test('who is owed a message as a member of an alias is not left to the client as well', async () => {
  const { backend } = await Sink.start({
    lmtp: true,
    // bob, eve, and ann, who is in no alias.
    verdict: () => '452 4.2.2 full\r\n250 2.0.0 eve\r\n452 4.2.2 ann\r\n',
  })
  await using fritz = backend
  const spool = new MemorySpool()
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: `lmtp: ${fritz.port}` },
    routes: {
      ...users,
      'team@example.com': team,
      'bob@example.com': routeTo('fritz', 'bob@example.com'),
      'ida@example.com': routeTo('fritz', 'ida@example.com'),
    },
    spool,
  })
  using client = await hello(relay)
  const recipients = ['bob', 'team', 'ann'].map(to)
  const verdicts = [await deliver(client, 'MAIL FROM:<joe@example.net>', ...recipients)]
  verdicts.push(await reply(client), await reply(client))
  const kept = '250 2.0.0 ok, queued as Q1'
  assert.deepEqual(verdicts, [kept, kept, '452 4.2.2 ann'])
  assert.deepEqual(spool.states, ['owed bob@example.com'])
  assert.deepEqual(relay.runtime.eventsOf('uncertain'), [])
})

test('an alias that one member put off is put off where there is no spool', async () => {
  const { backend } = await Sink.start({
    lmtp: true,
    verdict: () => '250 2.0.0 one\r\n452 4.2.2 two\r\n',
  })
  await using fritz = backend
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: `lmtp: ${fritz.port}` },
    routes: { 'team@example.com': team },
  })
  using client = await hello(relay)
  assert.equal(await deliver(client, 'MAIL FROM:<>', to('team')), '452 4.2.2 two')
  assert.equal((await relay.runtime.waitFor('uncertain')).backend, 'fritz')
})

test('who put it off by LMTP keeps nobody else from an answer, and nothing is spooled', async () => {
  const { backend } = await Sink.start({
    lmtp: true,
    verdict: () => '250 2.0.0 one\r\n452 4.2.2 two\r\n',
  })
  await using fritz = backend
  const spool = new MemorySpool()
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: `lmtp: ${fritz.port}`, ingrid: 9 },
    spool,
  })
  using client = await hello(relay)
  assert.equal(await deliver(client, 'MAIL FROM:<>', to('ann'), to('amy')), '250 2.0.0 one')
  assert.equal(await reply(client), '452 4.2.2 two')
  assert.equal(spool.attempts, 0)
})

test('the one answer of an SMTP back-end is that of each of its recipients', async () => {
  const { backend } = await Sink.start({ verdict: () => '552 5.2.2 full\r\n' })
  await using fritz = backend
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: fritz.port, ingrid: 9 },
    spool: new MemorySpool(),
    routes: { ...users, 'team@example.com': team },
  })
  using client = await hello(relay)
  assert.equal(await deliver(client, 'MAIL FROM:<>', to('ann'), to('team')), '552 5.2.2 full')
  assert.equal(await reply(client), '552 5.2.2 full')
  assert.match((await ask(client, 'NOOP')).join(), /^250 /)
})

test('a back-end that is lost in the message is told for each recipient', async () => {
  const { backend } = await Sink.start({
    answer: (command) => (command === 'DATA' ? '354 go\r\n' : undefined),
    verdict: () => '421 4.3.2 closing\r\n',
  })
  await using fritz = backend
  await using relay = await TestRelay.start({
    protocol: 'lmtp',
    backends: { fritz: fritz.port, ingrid: 9 },
  })
  using client = await hello(relay)
  assert.match(await deliver(client, 'MAIL FROM:<>', to('ann'), to('amy')), /^451 4\.3\.2 /)
  assert.match(await reply(client), /^451 4\.3\.2 /)
})

test('a daemon serves LMTP, asks its back-ends at the start, and counts what it served', async () => {
  const { sink, backend } = await Sink.start({
    lmtp: true,
    capabilities: ['8BITMIME', 'SIZE 5000'],
  })
  await using fritz = backend
  using dir = tempDir()
  const config = `hostname: mx.example.com
domains: [example.com]
backends: {fritz: {host: 127.0.0.1, lmtp: ${fritz.port}}}
map: {rules: rules}
listen: {lmtp: ["127.0.0.1:0"], imap: ["127.0.0.1:0"]}
workers: 1
`
  writeFileSync(dir.join('rules'), '* fritz\n')
  await buildMapOf(dir, config)
  await using daemon = await startDaemon({ dir, config, services: ['lmtp'] })
  const { backend: name, offers } = await daemon.waitFor('backend.offers')
  assert.deepEqual([name, offers], ['fritz', ['SIZE 5000', '8BITMIME']])
  using client = await Peer.connect(daemon.port('lmtp'))
  await client.expect(/^220 mx\.example\.com LMTP .*\r\n/)
  client.send('LHLO c\r\n')
  await client.expect(/^(?:250-.*\r\n)*250-SIZE 5000\r\n250-8BITMIME\r\n(?:250-.*\r\n)*250 .*\r\n/)
  assert.match(await deliver(client, 'MAIL FROM:<>', to('ann'), to('amy')), /^250 /)
  assert.match(await reply(client), /^250 /)
  assert.equal(sink.stored[0]?.recipients.length, 2)
  const status = await daemon.command('status', '--json')
  const [service] = (JSON.parse(status.stdout) as { services: object[] }).services
  assert.equal(Reflect.get(service ?? {}, 'service'), 'lmtp')
  const messages = { accepted: 1, deferred: 0, refused: 0 }
  assert.deepEqual(Reflect.get(service ?? {}, 'messages'), messages)
})
