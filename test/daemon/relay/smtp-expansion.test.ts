/** What is asked and told of an alias whose sender wants to hear of success. RFC 3461 5.2.7. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { relayMeansOf } from '../../../src/daemon/relay/relay-pool.ts'
import {
  alias,
  type FanOut,
  type FanOutOptions,
  names,
  people,
  startFanOut,
  withoutTrace,
} from '../../support/fan-out.ts'
import { MemorySpool } from '../../support/memory-spool.ts'
import { ask, reply } from '../../support/message.ts'
import type { SinkOptions } from '../../support/relay.ts'

const capabilities = ['PIPELINING', 'SIZE 99999999', '8BITMIME', 'DSN']
const tells: SinkOptions = { capabilities }

function startDsn({ sinks, ...options }: FanOutOptions = {}): Promise<FanOut> {
  const all = Object.fromEntries(names.map((name) => [name, { ...tells, ...sinks?.[name] }]))
  const config = 'smarthost: klaus\n'
  return startFanOut({ offered: capabilities, sinks: all, config, ...options })
}

interface Sent {
  readonly recipients: readonly string[]
  readonly sender?: string
  readonly text?: string
}

/** Returns the reply to the message. */
async function send(place: FanOut, { recipients, sender, text }: Sent): Promise<string> {
  using client = await place.relay.client()
  const path = sender ?? 'bob@example.net'
  const replies = await ask(
    client,
    `MAIL FROM:<${path}> ENVID=7`,
    ...recipients.map((recipient) => `RCPT TO:${recipient}`),
    'DATA',
  )
  assert.match(replies.at(-1) ?? '', /^354 /)
  client.send(`${text ?? 'Subject: hello\r\n\r\nhi\r\n'}.\r\n`)
  return await reply(client)
}

function asked(place: FanOut): string[] {
  return names.flatMap((name) => place.sinks[name].stored[0]?.recipients ?? [])
}

for (const [notify, passed, states] of [
  ['SUCCESS', ' NOTIFY=NEVER', ['expanded all@example.com']],
  ['SUCCESS,DELAY,FAILURE', ' NOTIFY=DELAY,FAILURE', ['expanded all@example.com']],
  ['FAILURE', ' NOTIFY=FAILURE', []],
  ['NEVER', ' NOTIFY=NEVER', []],
] as const) {
  test(`NOTIFY=${notify} of an alias asks${passed} of its members`, async () => {
    await using place = await startDsn()
    const recipients = [`<all@example.com> NOTIFY=${notify}`]
    assert.match(await send(place, { recipients }), /^250 2\.0\.0 stored/)
    assert.deepEqual(
      asked(place),
      ['ann', 'ida', 'kim'].map((name) => `RCPT TO:<${name}@example.com>${passed}`),
    )
    assert.deepEqual(place.spool.states, states)
  })
}

test('what is kept for the report is the header alone, and the envelope as the client gave it', async () => {
  await using place = await startDsn()
  const recipients = ['<ALL@example.com> NOTIFY=SUCCESS ORCPT=rfc822;all@x']
  await send(place, { recipients })
  const [kept] = place.spool.kept
  assert.match(kept?.content ?? '', /^Received: [^]*\r\nSubject: hello\r\n$/)
  assert.deepEqual([kept?.envelope.sender, kept?.envelope.envelopeId], ['bob@example.net', '7'])
  assert.deepEqual(kept?.envelope.recipients, [
    {
      address: 'ALL@example.com',
      notify: ['SUCCESS'],
      originalRecipient: 'rfc822;all@x',
      state: { kind: 'expanded', action: 'expanded' },
    },
  ])
})

test('of a large message no more is kept for a report than reports show', async () => {
  await using place = await startDsn()
  const text = `Subject: x\r\n\r\n${'hundred octets are what each line of it has, so that there are many of them.\r\n'.repeat(5000)}`
  const recipients = ['<all@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients, text }), /^250 /)
  const [kept] = place.spool.kept
  assert.deepEqual([kept?.kind, kept?.content.length], ['file', 65_536])
})

test('a list that has an owner is delivered as far as its sender is told', async () => {
  await using place = await startDsn()
  await send(place, { recipients: ['<list@example.com> NOTIFY=SUCCESS'] })
  assert.deepEqual(place.spool.states, ['delivered list@example.com'])
  assert.equal(place.spool.kept[0]?.envelope.sender, 'bob@example.net')
  assert.deepEqual(
    asked(place),
    ['ann', 'ida', 'kim'].map((name) => `RCPT TO:<${name}@example.com>`),
  )
})

test('an alias of one address passes on all that was asked', async () => {
  const routes = {
    'one@example.com': alias('one@example.com', [['ann@example.com', 'fritz']]),
  }
  await using place = await startDsn({ routes })
  await send(place, { recipients: ['<one@example.com> NOTIFY=SUCCESS ORCPT=rfc822;one@x'] })
  assert.deepEqual(asked(place), ['RCPT TO:<ann@example.com> NOTIFY=SUCCESS ORCPT=rfc822;one@x'])
  assert.deepEqual(place.spool.states, [])
})

test('beside the report everything that is owed is kept, in one file', async () => {
  const ingrid = { verdict: () => '451 4.2.0 later\r\n' }
  await using place = await startDsn({ sinks: { ingrid } })
  const recipients = ['<all@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients }), /^250 2\.0\.0 ok, queued as Q1$/)
  assert.deepEqual(place.spool.states, ['owed ida@example.com', 'expanded all@example.com'])
  assert.match(place.spool.kept[0]?.content ?? '', /\r\n\r\nhi\r\n$/)
  assert.equal((await place.relay.runtime.waitFor('message')).queue, 'Q1')
})

test('an alias that nobody took at the end is not told of as a success', async () => {
  const refusing: SinkOptions = { verdict: () => '554 5.7.1 spam\r\n' }
  const sinks = { ingrid: refusing, klaus: refusing }
  const routes = {
    ...people,
    'two@example.com': alias('two@example.com', [
      ['ida@example.com', 'ingrid'],
      ['kim@example.com', 'klaus'],
    ]),
  }
  await using place = await startDsn({ sinks, routes })
  const recipients = ['<two@example.com> NOTIFY=SUCCESS,FAILURE', '<ann@example.com>']
  assert.match(await send(place, { recipients }), /^250 2\.0\.0 ok, queued as Q1/)
  assert.deepEqual(place.spool.states, [
    'refused ida@example.com 554',
    'refused kim@example.com 554',
  ])
})

test('a message that nobody took is not told of at all', async () => {
  const refusing: SinkOptions = { verdict: () => '554 5.7.1 spam\r\n' }
  await using place = await startDsn({
    sinks: { fritz: refusing, ingrid: refusing, klaus: refusing },
  })
  const recipients = ['<all@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients }), /^554 5\.7\.1 spam/)
  assert.equal(place.spool.attempts, 0)
})

for (const [first, second, notify] of [
  [' NOTIFY=NEVER', '', undefined],
  [' NOTIFY=NEVER', ' NOTIFY=DELAY', ['DELAY']],
  [' NOTIFY=FAILURE', ' NOTIFY=SUCCESS', ['FAILURE', 'SUCCESS']],
  ['', ' NOTIFY=SUCCESS', ['FAILURE', 'DELAY', 'SUCCESS']],
  ['', ' NOTIFY=NEVER', undefined],
  [' NOTIFY=NEVER', ' NOTIFY=NEVER', ['NEVER']],
] as const) {
  test(`who is asked for with${first} and again with${second} is told of as both ask`, async () => {
    await using place = await startDsn({
      sinks: { ingrid: { verdict: () => '451 4.2.0 later\r\n' } },
    })
    const recipients = [`<all@example.com>${first}`, `<ida@example.com>${second}`]
    assert.match(await send(place, { recipients }), /^250 2\.0\.0 ok, queued as Q1$/)
    const [kept, ...more] = place.spool.kept[0]?.envelope.recipients ?? []
    assert.deepEqual([kept?.address, kept?.notify, more.length], ['ida@example.com', notify, 0])
  })
}

test('a spool that fails loses the report alone: the back-ends have the message', async () => {
  await using place = await startDsn({ spool: new MemorySpool('SPOOL_FAILED') })
  const recipients = ['<all@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients }), /^250 2\.0\.0 stored/)
  assert.equal(place.relay.runtime.eventsOf('uncertain').length, 0)
  assert.equal((await place.relay.runtime.waitFor('internal')).reason, 'spool')
})

test('a copy that fails loses the report alone where nothing else needs it', async () => {
  const members = ['ann', 'amy'].map((name) => [`${name}@example.com`, 'fritz'] as const)
  await using place = await startDsn({
    routes: { ...people, 'two@example.com': alias('two@example.com', members) },
  })
  const { runtime } = place.relay
  relayMeansOf(runtime).spool.openFile = () => Promise.reject(new Error('no file'))
  const text = `Subject: x\r\n\r\n${`${'x'.repeat(98)}\r\n`.repeat(10_000)}`
  const recipients = ['<two@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients, text }), /^250 2\.0\.0 stored/)
  assert.equal((await runtime.waitFor('internal')).reason, 'spool')
  assert.equal(withoutTrace(place.sinks.fritz.stored[0]?.data ?? ''), text)
  assert.equal(place.spool.attempts, 0)
})

test('without a spool the back-end of one member tells of success', async () => {
  await using place = await startDsn({ spool: 'none' })
  await send(place, { recipients: ['<all@example.com> NOTIFY=SUCCESS,FAILURE'] })
  assert.deepEqual(asked(place), [
    'RCPT TO:<ann@example.com> NOTIFY=SUCCESS,FAILURE',
    'RCPT TO:<ida@example.com> NOTIFY=FAILURE',
    'RCPT TO:<kim@example.com> NOTIFY=FAILURE',
  ])
})

test('where nothing can be sent to the sender from here, the back-end of one member tells', async () => {
  await using place = await startDsn({ config: '' })
  const recipients = ['<all@example.com> NOTIFY=SUCCESS']
  assert.match(await send(place, { recipients }), /^250 2\.0\.0 stored/)
  assert.deepEqual(asked(place), [
    'RCPT TO:<ann@example.com> NOTIFY=SUCCESS',
    'RCPT TO:<ida@example.com> NOTIFY=NEVER',
    'RCPT TO:<kim@example.com> NOTIFY=NEVER',
  ])
  assert.equal(place.spool.attempts, 0)
  // Who is ours gets mail without a smarthost.
  await send(place, { recipients, sender: 'sue@example.com' })
  assert.deepEqual(place.spool.states, ['expanded all@example.com'])
})

test('nobody is told of a notification', async () => {
  await using place = await startDsn()
  await send(place, { sender: '', recipients: ['<all@example.com> NOTIFY=SUCCESS'] })
  assert.equal(place.spool.attempts, 0)
})
