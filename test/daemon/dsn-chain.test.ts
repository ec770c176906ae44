/**
 * What a client asks to be told (RFC 3461), and letters beyond ASCII (RFC 6531), on the whole way: relay,
 * spool, queue, back-end, and the notification to the sender.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simpleParser } from 'mailparser'
import type { Resolution } from '../../src/mail/route.ts'
import { alias } from '../support/fan-out.ts'
import { ask, reply } from '../support/message.ts'
import type { ScriptedBackend } from '../support/peer.ts'
import { TestQueue } from '../support/queue.ts'
import { Sink, type SinkOptions, type Stored, TestRelay } from '../support/relay.ts'
import { tempDir } from '../support/temp-dir.ts'
import { routeTo } from '../support/test-runtime.ts'

const everything = ['PIPELINING', 'SIZE 99999999', '8BITMIME', 'SMTPUTF8', 'DSN']

function without(...words: readonly string[]): string[] {
  return everything.filter((word) => !words.includes(word))
}

/** As it stands in what a peer has received. */
function octets(text: string): string {
  return Buffer.from(text).toString('latin1')
}

/** ann is at fritz, ida at ingrid, who puts off what comes by the relay; senders are at klaus. */
const routes = {
  'ann@example.com': routeTo('fritz', 'ann@example.com'),
  'ida@example.com': routeTo('ingrid', 'ida@example.com'),
  '中@example.com': routeTo('ingrid', '中@example.com'),
  'team@example.com': alias('team@example.com', [
    ['amy@example.com', 'fritz'],
    ['ida@example.com', 'ingrid'],
  ]),
  'sue@example.com': routeTo('klaus', 'sue@example.com'),
  'jürgen@example.com': routeTo('klaus', 'jürgen@example.com'),
}

interface Ask {
  readonly mail: string
  readonly ida: string
  readonly ann?: string
  readonly text?: string
}

interface Behaviour {
  /** What ingrid is when the queue comes. */
  readonly ingrid?: SinkOptions
  readonly klaus?: SinkOptions
  readonly config?: string
  readonly ingridSpeaks?: 'smtp' | 'lmtp'
  /** What has changed in the map until the queue asks it. */
  readonly since?: Readonly<Record<string, Resolution>>
}

class Chain implements AsyncDisposable {
  readonly fritz: Sink
  /** What the queue brought. */
  readonly ingrid: Sink
  readonly klaus: Sink
  readonly queue: TestQueue
  readonly relay: TestRelay
  readonly #stack: AsyncDisposableStack

  private constructor(
    sinks: readonly [Sink, Sink, Sink],
    { queue, relay, stack }: { queue: TestQueue; relay: TestRelay; stack: AsyncDisposableStack },
  ) {
    ;[this.fritz, this.ingrid, this.klaus] = sinks
    this.queue = queue
    this.relay = relay
    this.#stack = stack
  }

  static async start(behaviour: Behaviour = {}): Promise<Chain> {
    const stack = new AsyncDisposableStack()
    const dir = stack.use(tempDir())
    const { ingridSpeaks = 'smtp', config = '' } = behaviour
    const begin = async (
      options: SinkOptions,
    ): Promise<{ sink: Sink; backend: ScriptedBackend }> => {
      const started = await Sink.start(options)
      stack.use(started.backend)
      return started
    }
    const fritz = await begin({ capabilities: everything })
    const busy = await begin({ capabilities: everything, verdict: () => '451 4.2.0 later\r\n' })
    const ingrid = await begin({
      capabilities: everything,
      lmtp: ingridSpeaks === 'lmtp',
      ...behaviour.ingrid,
    })
    const klaus = await begin({ capabilities: everything, ...behaviour.klaus })
    const common = { fritz: fritz.backend.port, klaus: klaus.backend.port }
    const later = `${ingridSpeaks}: ${ingrid.backend.port}, tls: none`
    const queue = stack.use(
      await TestQueue.start({
        stateDir: dir.path,
        backends: { ...common, ingrid: later },
        routes: { ...routes, ...behaviour.since },
        config,
      }),
    )
    const relay = stack.use(
      await TestRelay.start({
        backends: { ...common, ingrid: busy.backend.port },
        routes,
        offered: everything,
        spool: queue.writer,
        config: `state_dir: ${dir.path}\n`,
      }),
    )
    return new Chain([fritz.sink, ingrid.sink, klaus.sink], { queue, relay, stack })
  }

  /** Sends one message to ann and ida; returns when all that can be done for it is done. */
  async send({ mail, ida, ann = '', text = 'Subject: x\r\n\r\nhi\r\n' }: Ask): Promise<void> {
    using client = await this.relay.client()
    const replies = await ask(
      client,
      `MAIL FROM:${mail}`,
      `RCPT TO:<ann@example.com>${ann}`,
      `RCPT TO:${ida}`,
      'DATA',
    )
    assert.match(replies.join(), /^250 .*,250 .*,250 .*,354 /)
    client.send(Buffer.from(`${text}.\r\n`))
    assert.match(await reply(client), /^250 2\.0\.0 ok, queued as /)
    await this.#rest()
  }

  /** Until everything that is in the spool waits for a later time. */
  async #rest(): Promise<void> {
    const { queue, store } = this.queue
    for (;;) {
      const { ids } = await store.contents()
      if (ids.every((id) => queue.entries.get(id)?.state === 'waiting')) return
      await new Promise(setImmediate)
    }
  }

  /** What klaus got for senders. */
  get told(): readonly Stored[] {
    return this.klaus.stored
  }

  /** Ids of what waits, is kept aside. */
  async left(): Promise<string[]> {
    const aside = await this.queue.store.quarantined()
    return [...(await this.queue.store.contents()).ids, ...aside.map(({ reason }) => reason)]
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync()
  }
}

const dsnMail = '<sue@example.com> RET=HDRS ENVID=q+2B1'
const dsnRcpt = ' NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;i+2Bx@example.net'

test('back-ends that tell senders themselves get all that was asked for, also from the spool', async () => {
  await using chain = await Chain.start()
  await chain.send({ mail: dsnMail, ida: `<ida@example.com>${dsnRcpt}`, ann: ' NOTIFY=SUCCESS' })
  const [direct] = chain.fritz.stored
  assert.match(direct?.sender ?? '', /^MAIL FROM:<sue@example\.com> RET=HDRS ENVID=q\+2B1$/)
  assert.deepEqual(direct?.recipients, ['RCPT TO:<ann@example.com> NOTIFY=SUCCESS'])
  const [late] = chain.ingrid.stored
  assert.match(late?.sender ?? '', /^MAIL FROM:<sue@example\.com> SIZE=\d+ RET=HDRS ENVID=q\+2B1$/)
  assert.deepEqual(late?.recipients, [`RCPT TO:<ida@example.com>${dsnRcpt}`])
  assert.equal(late?.data, direct?.data)
  assert.deepEqual(chain.told, [], 'of success the back-end tells')
  assert.deepEqual(await chain.left(), [])
})

test('of success of an alias its sender hears once, and nothing of its members', async () => {
  await using chain = await Chain.start()
  await chain.send({ mail: dsnMail, ida: `<team@example.com>${dsnRcpt}` })
  const asked = 'NOTIFY=FAILURE ORCPT=rfc822;i+2Bx@example.net'
  assert.deepEqual(chain.fritz.stored[0]?.recipients, [
    'RCPT TO:<ann@example.com>',
    `RCPT TO:<amy@example.com> ${asked}`,
  ])
  assert.deepEqual(chain.ingrid.stored[0]?.recipients, [`RCPT TO:<ida@example.com> ${asked}`])
  const [told, ...more] = chain.told
  assert.deepEqual(more, [])
  const { text = '', subject } = await simpleParser(told?.data ?? '')
  assert.equal(subject, 'Your message was delivered')
  assert.match(text, /^ {2}team@example\.com\n {4}sent on to the addresses that it stands for$/m)
  assert.match(
    told?.data ?? '',
    /^Original-Recipient: rfc822;i\+x@example\.net\r\nFinal-Recipient: rfc822; team@example\.com\r\nAction: expanded\r\nStatus: 2\.0\.0\r\nLast/m,
  )
  assert.doesNotMatch(told?.data ?? '', /ida@|amy@|ingrid|fritz/)
  assert.deepEqual(await chain.left(), [])
})

const idaIsTwo = {
  'ida@example.com': alias('ida@example.com', [
    ['amy@example.com', 'fritz'],
    ['joe@example.com', 'ingrid'],
  ]),
  'amy@example.com': routeTo('fritz', 'amy@example.com'),
  'joe@example.com': routeTo('ingrid', 'joe@example.com'),
}

test('so it is of an address that has become one for several while its message waited', async () => {
  await using chain = await Chain.start({ since: idaIsTwo })
  await chain.send({ mail: dsnMail, ida: `<ida@example.com>${dsnRcpt}` })
  const asked = 'NOTIFY=FAILURE ORCPT=rfc822;i+2Bx@example.net'
  assert.deepEqual(chain.fritz.stored[1]?.recipients, [`RCPT TO:<amy@example.com> ${asked}`])
  assert.deepEqual(chain.ingrid.stored[0]?.recipients, [`RCPT TO:<joe@example.com> ${asked}`])
  assert.equal(chain.told.length, 1)
  const data = chain.told[0]?.data ?? ''
  assert.match(data, /^Final-Recipient: rfc822; ida@example\.com\r\nAction: expanded\r$/m)
  assert.doesNotMatch(data, /amy@|joe@/)
  assert.deepEqual(await chain.left(), [])
})

test('where its sender cannot be told from here, the back-end of one of them tells', async () => {
  await using chain = await Chain.start({ since: idaIsTwo })
  const ida = '<ida@example.com> NOTIFY=SUCCESS'
  await chain.send({ mail: '<bob@example.net>', ida })
  assert.deepEqual(chain.fritz.stored[1]?.recipients, ['RCPT TO:<amy@example.com> NOTIFY=SUCCESS'])
  assert.deepEqual(chain.ingrid.stored[0]?.recipients, ['RCPT TO:<joe@example.com> NOTIFY=NEVER'])
  assert.deepEqual(chain.queue.runtime.eventsOf('internal'), [])
  assert.deepEqual(await chain.left(), [])
})

test('of success at a back-end that tells nobody the queue tells', async () => {
  for (const [ingridSpeaks, action] of [
    ['smtp', 'relayed'],
    ['lmtp', 'delivered'],
  ] as const) {
    const ingrid = { capabilities: without('DSN') }
    await using chain = await Chain.start({ ingridSpeaks, ingrid })
    await chain.send({ mail: dsnMail, ida: `<ida@example.com>${dsnRcpt}` })
    assert.match(chain.ingrid.stored[0]?.sender ?? '', /^MAIL FROM:<sue@example\.com> SIZE=\d+$/)
    assert.deepEqual(chain.ingrid.stored[0]?.recipients, ['RCPT TO:<ida@example.com>'])
    const [told, ...more] = chain.told
    assert.deepEqual([told?.sender.replace(/ SIZE=\d+/, ''), more.length], ['MAIL FROM:<>', 0])
    assert.deepEqual(told?.recipients, ['RCPT TO:<sue@example.com>'])
    const data = told?.data ?? ''
    assert.match(data, /^Original-Envelope-Id: q\+1\r$/m)
    assert.match(data, /^Original-Recipient: rfc822;i\+x@example\.net\r$/m)
    assert.match(data, /^Final-Recipient: rfc822; ida@example\.com\r$/m)
    assert.match(data, new RegExp(`^Action: ${action}\\r\\nStatus: 2\\.\\d\\.\\d\\r$`, 'm'))
    assert.doesNotMatch(data, /ann@example/, 'who had it directly is not ours to tell of')
    assert.deepEqual(await chain.left(), [])
  }
})

const refusing: SinkOptions = {
  answer: (command) => (command.startsWith('RCPT') ? '550 5.2.1 ida is gone\r\n' : undefined),
}

test('a failure from the spool is told once, with as much of the message as was asked for', async () => {
  for (const [ret, isWhole] of [
    ['FULL', true],
    ['HDRS', false],
  ] as const) {
    await using chain = await Chain.start({ ingrid: { ...refusing, capabilities: everything } })
    const mail = `<sue@example.com> RET=${ret} ENVID=e1`
    await chain.send({ mail, ida: '<ida@example.com>', text: 'Subject: s\r\n\r\n..dot\r\n' })
    assert.equal(chain.told.length, 1)
    const data = chain.told[0]?.data ?? ''
    assert.match(data, /^Original-Envelope-Id: e1\r$/m)
    assert.match(
      data,
      /^Action: failed\r\nStatus: 5\.2\.1\r\nDiagnostic-Code: smtp; 550 5\.2\.1 ida is gone\r$/m,
    )
    assert.match(data, /^Subject: s\r$/m)
    assert.equal(/^\.\.dot\r$/m.test(data), isWhole)
    assert.deepEqual(await chain.left(), [])
  }
})

test('who asked to hear nothing hears nothing: of failure, delay, success', async () => {
  for (const ingrid of [refusing, { answer: busyRcpt }, {}]) {
    await using chain = await Chain.start({ ingrid, config: 'spool: {warn_after: 1ms}\n' })
    await chain.send({ mail: '<sue@example.com>', ida: '<ida@example.com> NOTIFY=NEVER' })
    assert.deepEqual(chain.told, [])
    assert.equal(chain.queue.runtime.eventsOf('report').length, 0)
  }
})

function busyRcpt(command: string): string | undefined {
  return command.startsWith('RCPT') ? '450 4.2.1 busy\r\n' : undefined
}

test('of a delay hears who asked for it, or for nothing', async () => {
  for (const [asked, isTold] of [
    ['', true],
    [' NOTIFY=DELAY,FAILURE', true],
    [' NOTIFY=FAILURE', false],
  ] as const) {
    const config = 'spool: {warn_after: 1ms}\n'
    await using chain = await Chain.start({ ingrid: { answer: busyRcpt }, config })
    await chain.send({ mail: '<sue@example.com>', ida: `<ida@example.com>${asked}` })
    assert.deepEqual(
      chain.told.map(({ data }) => /^Action: (.*)\r$/m.exec(data)?.[1]),
      isTold ? ['delayed'] : [],
    )
  }
})

test('a message without a sender that fails is kept for a person, and told to nobody', async () => {
  await using chain = await Chain.start({ ingrid: refusing })
  await chain.send({ mail: '<>', ida: '<ida@example.com> NOTIFY=FAILURE' })
  assert.deepEqual(chain.told, [])
  assert.deepEqual(await chain.left(), ['double_bounce'])
  assert.equal(chain.queue.runtime.eventsOf('internal')[0]?.reason, 'double_bounce')
})

const utf8Text = 'Subject: grüße\r\n\r\nhi\r\n'

test('letters beyond ASCII go through the spool as they came', async () => {
  await using chain = await Chain.start()
  const mail = '<jürgen@example.com> SMTPUTF8 BODY=8BITMIME'
  const ida = '<中@example.com> ORCPT=utf-8;中@x'
  await chain.send({ mail, ida, text: utf8Text })
  const [late] = chain.ingrid.stored
  const sender = octets('MAIL FROM:<jürgen@example.com>')
  assert.match(late?.sender ?? '', new RegExp(`^${sender} SIZE=\\d+ BODY=8BITMIME SMTPUTF8$`))
  assert.deepEqual(late?.recipients, [octets('RCPT TO:<中@example.com> ORCPT=utf-8;中@x')])
  assert.ok(late?.data.includes(octets(utf8Text)))
})

test('a back-end that has lost SMTPUTF8 meanwhile is a failure, told in the letters of the sender', async () => {
  await using chain = await Chain.start({ ingrid: { capabilities: without('SMTPUTF8') } })
  const mail = '<jürgen@example.com> SMTPUTF8 BODY=8BITMIME RET=FULL'
  const ida = '<中@example.com> NOTIFY=FAILURE ORCPT=utf-8;中@x'
  await chain.send({ mail, ida, text: utf8Text })
  assert.deepEqual(chain.ingrid.stored, [])
  const [told] = chain.told
  assert.match(told?.sender ?? '', /^MAIL FROM:<> SIZE=\d+ BODY=8BITMIME SMTPUTF8$/)
  assert.deepEqual(told?.recipients, [octets('RCPT TO:<jürgen@example.com>')])
  const data = told?.data ?? ''
  assert.ok(data.includes(octets('To: jürgen@example.com\r\n')), data)
  assert.match(data, /^Content-Type: message\/global-delivery-status\r$/m)
  assert.ok(
    data.includes(
      octets('Original-Recipient: utf-8;中@x\r\nFinal-Recipient: utf-8; 中@example.com\r\n'),
    ),
  )
  assert.match(data, /^Action: failed\r\nStatus: 5\.6\.7\r$/m)
  assert.match(data, /^Content-Type: message\/global\r$/m)
  assert.ok(data.includes(octets(utf8Text)))
  assert.deepEqual(await chain.left(), [])
})

test('a sender in ASCII hears of such a failure in ASCII, wherever its mail is', async () => {
  const plain = { capabilities: without('SMTPUTF8', '8BITMIME') }
  await using chain = await Chain.start({ ingrid: plain, klaus: plain })
  const mail = '<sue@example.com> SMTPUTF8 BODY=8BITMIME RET=FULL'
  const ida = '<中@example.com> ORCPT=utf-8;中@x'
  await chain.send({ mail, ida, text: utf8Text })
  const [told] = chain.told
  assert.match(told?.sender ?? '', /^MAIL FROM:<> SIZE=\d+$/)
  const data = told?.data ?? ''
  // oxlint-disable-next-line no-control-regex -- all of ASCII is what is meant
  assert.doesNotMatch(data, /[^\u0000-\u007f]/)
  assert.match(
    data,
    /^Original-Recipient: utf-8;\\x\{4E2D\}@x\r\nFinal-Recipient: utf-8; \\x\{4E2D\}@example\.com\r$/m,
  )
  const parsed = await simpleParser(data)
  assert.match(parsed.text ?? '', /中@example\.com/)
  assert.deepEqual(await chain.left(), [])
})

test('what is refused at RCPT or for all causes no notification, whoever is named as its sender', async () => {
  await using chain = await Chain.start()
  const { relay } = chain
  using client = await relay.client()
  const replies = await ask(
    client,
    'MAIL FROM:<sue@example.com>',
    'RCPT TO:<nobody@example.com> NOTIFY=FAILURE',
    'RCPT TO:<x@foreign.example>',
    'DATA',
  )
  assert.match(replies.join(), /^250 .*,550 5\.1\.1 .*,550 5\.7\.1 .*,554 5\.5\.1 /)
  assert.deepEqual([chain.told.length, await chain.left()], [0, []])
})
