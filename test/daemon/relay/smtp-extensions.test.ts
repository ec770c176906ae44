import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayOffersOf } from '../../../src/daemon/relay/relay-offers.ts'
import { ask, deliver, reply } from '../../support/message.ts'
import { Sink, TestRelay } from '../../support/relay.ts'
import { routeTo } from '../../support/test-runtime.ts'

const everything = ['PIPELINING', 'SIZE 99999999', '8BITMIME', 'SMTPUTF8', 'DSN']

/** As it stands in what a peer has received. */
function bytes(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** What EHLO offers, by keyword. */
async function offered(relay: TestRelay): Promise<string[]> {
  using client = await relay.connect()
  await client.expect(/^220 .*\r\n/)
  client.send('EHLO c\r\n')
  const [text] = await client.expect(/^(?:250-.*\r\n)*250 .*\r\n/)
  return text
    .split('\r\n')
    .slice(1, -1)
    .map((line) => line.slice(4))
}

test('what is offered is what every back-end offers', async () => {
  const one = await Sink.start({ capabilities: everything })
  const other = await Sink.start({ capabilities: ['8BITMIME', 'DSN', 'SIZE 1000000'] })
  await using fritz = one.backend
  await using ingrid = other.backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: ingrid.port },
    offered: 'unknown',
  })
  const always = ['ENHANCEDSTATUSCODES', 'LIMITS RCPTMAX=1000']
  assert.deepEqual(await offered(relay), ['PIPELINING', 'SIZE 52428800', ...always])
  await relayOffersOf(relay.runtime).ask()
  const common = ['PIPELINING', 'SIZE 1000000', '8BITMIME', 'DSN', ...always]
  assert.deepEqual(await offered(relay), common)
  const events = relay.runtime.eventsOf('backend.offers')
  assert.deepEqual(
    new Map(events.map(({ backend, offers }) => [backend, offers])),
    new Map([
      ['fritz', everything],
      ['ingrid', ['SIZE 1000000', '8BITMIME', 'DSN']],
    ]),
  )
  await relayOffersOf(relay.runtime).ask()
  assert.equal(relay.runtime.eventsOf('backend.offers').length, 2, 'only a change is an event')
  assert.ok(one.sink.commands.every((command) => /^(?:EHLO|QUIT)/.test(command)))
})

test('a back-end that was never seen does not count once it was asked in vain', async () => {
  const { backend } = await Sink.start({ capabilities: everything })
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    offered: 'unknown',
  })
  await relayOffersOf(relay.runtime).ask()
  assert.ok((await offered(relay)).includes('SMTPUTF8'))
})

test('what was seen last counts on, and every connection shows what is offered now', async () => {
  const { backend } = await Sink.start({ capabilities: ['PIPELINING'] })
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    offered: everything,
  })
  await relayOffersOf(relay.runtime).ask()
  const now = await offered(relay)
  assert.ok(!now.includes('8BITMIME'), 'fritz has changed')
  assert.equal(relay.runtime.eventsOf('backend.offers').at(-1)?.backend, 'fritz')
})

test('a message that is larger than a back-end takes is refused by its size', async () => {
  const { backend, sink } = await Sink.start({ capabilities: ['SIZE 1000'] })
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port },
    routes: { 'ann@example.com': routeTo('fritz', 'ann@example.com') },
    offered: ['SIZE 1000'],
  })
  using client = await relay.client()
  const [big, small] = await ask(client, 'MAIL FROM:<> SIZE=1001', 'MAIL FROM:<> SIZE=1000')
  assert.match(big ?? '', /^552 5\.3\.4 /)
  assert.match(small ?? '', /^250 /)
  await ask(client, 'RCPT TO:<ann@example.com>', 'DATA')
  client.send(`${'x'.repeat(2000)}\r\n.\r\n`)
  assert.match(await reply(client), /^552 5\.3\.4 /)
  assert.deepEqual(sink.stored, [])
})

test('parameters reach a back-end that offers them, as they were written', async () => {
  const { sink, backend } = await Sink.start({ capabilities: everything })
  await using fritz = backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: 9 },
    routes: { '中@example.com': routeTo('fritz', '中+x@example.com') },
    offered: everything,
  })
  using client = await relay.client()
  const mail = 'MAIL FROM:<ü@bücher.example> SIZE=20 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2Bx'
  const rcpt = 'RCPT TO:<中@EXAMPLE.com> NOTIFY=SUCCESS,FAILURE ORCPT=utf-8;中@x'
  assert.match(await deliver(client, mail, rcpt), /^250 2\.0\.0 stored/)
  const [stored] = sink.stored
  assert.equal(stored?.sender, bytes(mail))
  assert.deepEqual(stored.recipients, [bytes(rcpt.replace('中@EXAMPLE', '中+x@example'))])
  assert.match(stored.data, /\r\n\tby mx\.example\.com \(mailmux\) with UTF8SMTP id 1-1;\r\n/)
})

test('what a back-end does not take is refused for its recipients alone', async () => {
  const one = await Sink.start({ capabilities: ['PIPELINING'] })
  const other = await Sink.start({ capabilities: everything })
  await using fritz = one.backend
  await using ingrid = other.backend
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port, ingrid: ingrid.port },
    offered: everything,
  })
  const cases = [
    ['BODY=8BITMIME', /^554 5\.6\.3 /],
    ['SMTPUTF8', /^550 5\.6\.7 /],
  ] as const
  for (const [parameter, refusal] of cases) {
    // Until the first connection shows it, more is believed of fritz than it holds to.
    relay.learn(everything)
    using client = await relay.client()
    const mail = `MAIL FROM:<bob@example.net> ${parameter}`
    const replies = await ask(
      client,
      mail,
      'RCPT TO:<ann@example.com>',
      'RCPT TO:<ida@example.com>',
    )
    assert.match(replies[1] ?? '', refusal)
    assert.match(replies[2] ?? '', /^250 /)
    await ask(client, 'DATA')
    client.send('x\r\n.\r\n')
    assert.match(await reply(client), /^250 2\.0\.0 stored/)
  }
  assert.deepEqual(one.sink.stored, [])
  assert.ok(one.sink.commands.every((command) => /^(?:EHLO|QUIT|RSET)/.test(command)))
  assert.equal(other.sink.stored.length, 2)
})

test('an address beyond ASCII at the end of an alias needs SMTPUTF8 too', async () => {
  await using relay = await TestRelay.start({
    backends: { fritz: 9 },
    routes: { 'ann@example.com': routeTo('fritz', '中@example.com') },
    offered: everything,
  })
  using client = await relay.client()
  const [, answer] = await ask(client, 'MAIL FROM:<>', 'RCPT TO:<ann@example.com>')
  assert.match(answer ?? '', /^550 5\.6\.7 /)
})

test('DSN parameters are not passed to the members of a list that has an owner', async () => {
  const { sink, backend } = await Sink.start({ capabilities: everything })
  await using fritz = backend
  const destination = { address: 'amy@example.com', backend: 'fritz', login: 'amy' }
  await using relay = await TestRelay.start({
    backends: { fritz: fritz.port },
    routes: {
      'list@example.com': {
        result: 'expand',
        user: 'list@example.com',
        destinations: [destination],
        owner: 'owner-list@example.com',
      },
    },
    offered: everything,
  })
  using client = await relay.client()
  const mail = 'MAIL FROM:<bob@example.net> RET=FULL ENVID=1'
  await deliver(client, mail, 'RCPT TO:<list@example.com> NOTIFY=SUCCESS ORCPT=rfc822;list@x')
  assert.equal(sink.stored[0]?.sender, 'MAIL FROM:<owner-list@example.com>')
  assert.deepEqual(sink.stored[0].recipients, ['RCPT TO:<amy@example.com>'])
})
