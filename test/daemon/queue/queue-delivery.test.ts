import assert from 'node:assert/strict'
import { test } from 'node:test'
import { routeTo } from '../../support/test-runtime.ts'
import { ScriptedBackend } from '../../support/peer.ts'
import { TestQueue } from '../../support/queue.ts'
import { Sink } from '../../support/relay.ts'
import { envelopeOf, inFile, inMemory, owed, plainMessage, refused } from '../../support/spool.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** Nobody is to be told anything: senders hear of nothing. */
const silent = { sender: '' }
const quiet = { notify: ['NEVER'] } as const

test('a message goes to every back-end that it is owed at, and leaves the spool', async () => {
  using dir = tempDir()
  const fritz = await Sink.start()
  const ingrid = await Sink.start({ lmtp: true })
  await using _fritz = fritz.backend
  await using _ingrid = ingrid.backend
  const backends = { fritz: fritz.backend.port, ingrid: `lmtp: ${ingrid.backend.port}, tls: none` }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends })
  const recipients = ['ann@example.com', 'ida@example.com', 'amy@example.com'].map((one) =>
    owed(one),
  )
  await queue.accept(envelopeOf(recipients, { body: '8BITMIME' }), inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 3)
  assert.deepEqual(fritz.sink.stored, [
    {
      sender: `MAIL FROM:<sue@example.net> SIZE=${plainMessage.length} BODY=8BITMIME`,
      recipients: ['RCPT TO:<ann@example.com>', 'RCPT TO:<amy@example.com>'],
      data: plainMessage,
    },
  ])
  assert.deepEqual(
    ingrid.sink.stored.map(({ recipients: to }) => to),
    [['RCPT TO:<ida@example.com>']],
  )
  await queue.queue.stop()
  assert.deepEqual((await queue.store.contents()).ids, [])
  assert.equal(queue.queue.usage.messages, 0)
})

test('a large message streams, octet for octet, and no faster than it is read', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port },
  })
  const text = Array.from({ length: 200_000 }, (_, at) => `line ${at}\r\n`).join('')
  await queue.accept(envelopeOf([owed('ann@example.com')]), inFile(Buffer.from(text)))
  assert.equal((await queue.runtime.waitFor('delivery')).result, 'delivered')
  assert.equal(sink.stored[0]?.data, text)
})

test('each answer counts for its recipient: done, failed for good, to be tried again', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start({
    answer(command) {
      if (command.includes('amy')) return '550 5.1.1 no amy here\r\n'
      return command.includes('joe') ? '450 4.2.0 joe is busy\r\n' : undefined
    },
  })
  await using _backend = backend
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port },
    routes: Object.fromEntries(
      ['ann', 'amy', 'joe'].map((name) => {
        const address = `${name}@example.com`
        return [address, routeTo('fritz', address)]
      }),
    ),
  })
  const recipients = ['ann', 'amy', 'joe'].map((name) => owed(`${name}@example.com`, quiet))
  const id = await queue.accept(envelopeOf(recipients), inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 3)
  await queue.queue.stop()
  assert.deepEqual(await queue.results(id), ['delivered', 'failed', 'owed'])
  assert.deepEqual(
    queue.runtime.eventsOf('delivery').map(({ result, code, detail }) => [result, code, detail]),
    [
      ['failed', 550, 'no amy here'],
      ['deferred', 450, 'joe is busy'],
      ['delivered', 250, 'stored'],
    ],
  )
  assert.deepEqual(sink.stored[0]?.recipients, ['RCPT TO:<ann@example.com>'])
})

test('with LMTP everybody has an answer of their own after the message', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start({
    verdict: () => '250 2.0.0 ok\r\n452 4.2.2 full for now\r\n552 5.2.2 full for good\r\n',
  })
  await using _backend = backend
  const backends = { fritz: `lmtp: ${backend.port}, tls: none` }
  const names = ['a@example.com', 'b@example.com', 'c@example.com']
  const routes = Object.fromEntries(names.map((name) => [name, routeTo('fritz', name)]))
  await using queue = await TestQueue.start({ stateDir: dir.path, backends, routes })
  const recipients = names.map((name) => owed(name, quiet))
  const id = await queue.accept(envelopeOf(recipients), inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 3)
  await queue.queue.stop()
  assert.deepEqual(await queue.results(id), ['delivered', 'owed', 'failed'])
})

test('with LMTP each answer may take the time of one, since nobody waits', async () => {
  using dir = tempDir()
  const names = Array.from({ length: 8 }, (_, number) => `u${number}@example.com`)
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    for (let verb = ''; verb !== 'DATA'; ) {
      verb = (await peer.line()).slice(0, 4)
      peer.send(verb === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
    }
    await peer.message()
    const answers = setInterval(() => peer.send('250 2.0.0 stored\r\n'), 100)
    await peer.end().finally(() => clearInterval(answers))
  })
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: `lmtp: ${backend.port}, tls: none` },
    routes: Object.fromEntries(names.map((name) => [name, routeTo('fritz', name)])),
    config: 'limits: {data_timeout: 300ms}\n',
  })
  const recipients = names.map((name) => owed(name, quiet))
  await queue.accept(envelopeOf(recipients), inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', names.length)
  assert.ok(queue.runtime.eventsOf('delivery').every(({ result }) => result === 'delivered'))
  assert.equal(queue.runtime.eventsOf('uncertain').length, 0)
})

/** What a back-end does in place of the answer to a command, or to the message: it goes away. */
const drops = [
  { at: 'the greeting', step: 'greeting', isUncertain: false },
  { at: 'EHLO', step: 'hello', isUncertain: false },
  { at: 'MAIL', step: 'envelope', isUncertain: false },
  { at: 'RCPT', step: 'envelope', isUncertain: false },
  { at: 'DATA', step: 'data', isUncertain: false },
  { at: 'the message', step: 'data', isUncertain: false },
  { at: 'the end of data', step: 'end_of_data', isUncertain: true },
] as const

for (const { at, step, isUncertain } of drops) {
  test(`a back-end that goes away at ${at} leaves the message owed${isUncertain ? ', uncertain' : ''}`, async () => {
    using dir = tempDir()
    let isBack = false
    const sink = new Sink()
    // More than the buffers on the way take.
    const text = at === 'the message' ? 'x'.repeat(30_000_000) : 'x'
    await using backend = await ScriptedBackend.start(async (peer) => {
      if (isBack) return sink.serve(peer)
      if (at === 'the greeting') return void peer.socket.destroy()
      peer.send('220 fritz\r\n')
      for (;;) {
        const verb = (await peer.line()).slice(0, 4)
        if (verb === at) return void peer.socket.destroy()
        peer.send(verb === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
        if (verb !== 'DATA') continue
        await peer.expect(at === 'the message' ? /^x/ : /\r\n\.\r\n$/)
        return void peer.socket.destroy()
      }
    })
    const backends = { fritz: backend.port }
    await using queue = await TestQueue.start({ stateDir: dir.path, backends })
    const content = inFile(Buffer.from(`${text}\r\n`))
    const envelope = envelopeOf([owed('ann@example.com')], { service: 'lmtp' })
    const id = await queue.accept(envelope, content)
    const failure = await queue.runtime.waitFor('backend')
    assert.deepEqual([failure.service, failure.step], ['lmtp', step])
    assert.equal((await queue.runtime.waitFor('delivery')).result, 'deferred')
    assert.equal(queue.runtime.eventsOf('uncertain').length, isUncertain ? 1 : 0)
    isBack = true
    while (queue.queue.entries.get(id)?.state !== 'waiting') await new Promise(setImmediate)
    assert.deepEqual(await queue.results(id), ['owed'])
    // So much text is slow work for the sink.
    if (at === 'the message') return
    assert.ok(queue.queue.retry(id))
    assert.equal((await queue.runtime.waitFor('delivery', 2)).result, 'delivered')
    assert.equal(sink.stored.length, 1)
  })
}

test('a message whose content is not what was written is aborted without an end and set aside', async () => {
  using dir = tempDir()
  let received = ''
  await using backend = await ScriptedBackend.start(async (peer) => {
    peer.send('220 fritz\r\n')
    for (let verb = ''; verb !== 'DATA'; ) {
      verb = (await peer.line()).slice(0, 4)
      peer.send(verb === 'DATA' ? '354 go on\r\n' : '250 ok\r\n')
    }
    received = await peer.end()
  })
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port },
  })
  const { writer } = queue
  await queue.queue.stop()
  const id = await writer.accept(envelopeOf([owed('ann@example.com')]), inMemory(plainMessage))
  const path = `${queue.store.places.directory}/${id}.msg`
  const { readFileSync, writeFileSync } = await import('node:fs')
  const bytes = readFileSync(path)
  writeFileSync(path, Buffer.from(bytes.toString('latin1').replace('hello', 'jello'), 'latin1'))
  await using again = await restart(queue, dir.path, backend.port)
  const { reason } = await again.runtime.waitFor('spool.quarantined')
  assert.equal(reason, 'damaged')
  assert.match(received, /jello/)
  assert.doesNotMatch(received, /\r\n\.\r\n/)
  assert.deepEqual((await again.store.contents()).ids, [])
})

async function restart(old: TestQueue, stateDir: string, port: number): Promise<TestQueue> {
  await old[Symbol.asyncDispose]()
  return TestQueue.start({ stateDir, backends: { fritz: port } })
}

test('recipients follow their users: each attempt asks the map anew', async () => {
  using dir = tempDir()
  const fritz = await Sink.start({
    answer: (command) => (command.startsWith('RCPT') ? '450 no\r\n' : undefined),
  })
  const ingrid = await Sink.start()
  await using _fritz = fritz.backend
  await using _ingrid = ingrid.backend
  const backends = { fritz: fritz.backend.port, ingrid: ingrid.backend.port }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends })
  const id = await queue.accept(envelopeOf([owed('ann@example.com')]), inMemory(plainMessage))
  await queue.runtime.waitFor('delivery')
  while (queue.queue.entries.get(id)?.state !== 'waiting') await new Promise(setImmediate)
  queue.runtime.replaceRoutes({ 'ann@example.com': routeTo('ingrid', 'ann@example.com') })
  queue.queue.retry(id)
  assert.equal((await queue.runtime.waitFor('delivery', 2)).backend, 'ingrid')
  assert.equal(ingrid.sink.stored.length, 1)
})

test('a name that leads to several addresses now becomes a message for them', async () => {
  using dir = tempDir()
  const fritz = await Sink.start()
  const ingrid = await Sink.start()
  await using _fritz = fritz.backend
  await using _ingrid = ingrid.backend
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: fritz.backend.port, ingrid: ingrid.backend.port },
    routes: {
      'ann@example.com': routeTo('fritz', 'ann@example.com'),
      'ida@example.com': routeTo('ingrid', 'ida@example.com'),
      'joe@example.com': {
        result: 'expand',
        user: 'joe@example.com',
        destinations: [
          { address: 'ann@example.com', backend: 'fritz', login: 'ann' },
          { address: 'ida@example.com', backend: 'ingrid', login: 'ida' },
        ],
      },
    },
  })
  await queue.accept(envelopeOf([owed('joe@example.com')]), inFile(Buffer.from(plainMessage)))
  await queue.runtime.waitFor('delivery', 3)
  assert.equal(fritz.sink.stored[0]?.data, plainMessage)
  assert.equal(ingrid.sink.stored[0]?.data, plainMessage)
})

test('a user who is gone is a failure that the sender hears of', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  await using queue = await TestQueue.start({
    stateDir: dir.path,
    backends: { fritz: backend.port, out: backend.port },
    config: 'smarthost: out\n',
    routes: {},
  })
  const id = await queue.accept(envelopeOf([owed('ann@example.com')]), inMemory(plainMessage))
  const report = await queue.runtime.waitFor('report')
  assert.deepEqual([report.of, report.kind], [id, 'failure'])
  await queue.runtime.waitFor('delivery', 2)
  const [stored] = sink.stored
  assert.equal(stored?.sender.slice(0, 12), 'MAIL FROM:<>')
  assert.deepEqual(stored?.recipients, ['RCPT TO:<sue@example.net>'])
  assert.match(stored?.data ?? '', /^Status: 5\.1\.1\r$/m)
})

test('what was refused already is reported without an attempt at anybody', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  const backends = { fritz: backend.port }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends })
  const envelope = envelopeOf([refused('ida@example.com')], { sender: 'ann@example.com' })
  await queue.accept(envelope, inMemory(plainMessage))
  await queue.runtime.waitFor('delivery')
  assert.deepEqual(
    sink.stored.map(({ recipients }) => recipients),
    [['RCPT TO:<ann@example.com>']],
  )
  assert.match(sink.stored[0]?.data ?? '', /^Diagnostic-Code: smtp; 550 5\.7\.1 the content/m)
  await queue.queue.stop()
  assert.deepEqual((await queue.store.contents()).ids, [])
})

test('nobody is told of a failed notification: it is set aside', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start({
    answer: (command) => (command.startsWith('RCPT') ? '550 5.1.1 nobody\r\n' : undefined),
  })
  await using _backend = backend
  const backends = { fritz: backend.port }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends })
  const id = await queue.accept(
    envelopeOf([owed('ann@example.com')], silent),
    inMemory(plainMessage),
  )
  const { reason } = await queue.runtime.waitFor('spool.quarantined')
  assert.equal(reason, 'double_bounce')
  assert.equal(queue.runtime.eventsOf('internal')[0]?.reason, 'double_bounce')
  assert.equal(queue.runtime.eventsOf('report').length, 0)
  assert.deepEqual(
    (await queue.store.quarantined()).map(({ name }) => name),
    [`${id}.double_bounce`],
  )
})

test('without a smarthost a sender elsewhere cannot be told: that is said, and the message kept', async () => {
  using dir = tempDir()
  const { backend } = await Sink.start()
  await using _backend = backend
  const backends = { fritz: backend.port }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends })
  await queue.accept(envelopeOf([refused('ann@example.com')]), inMemory(plainMessage))
  assert.equal((await queue.runtime.waitFor('spool.quarantined')).reason, 'unreportable')
  const [alarm] = queue.runtime.eventsOf('internal')
  assert.equal(alarm?.reason, 'report_unsent')
  assert.match(alarm?.detail ?? '', /the config names no smarthost$/)
})

test('NOTIFY=NEVER is kept to: a failure is an event, and no message', async () => {
  using dir = tempDir()
  const { sink, backend } = await Sink.start()
  await using _backend = backend
  const backends = { fritz: backend.port }
  await using queue = await TestQueue.start({ stateDir: dir.path, backends, routes: {} })
  await queue.accept(envelopeOf([owed('ann@example.com', quiet)]), inMemory(plainMessage))
  assert.equal((await queue.runtime.waitFor('delivery')).result, 'failed')
  await queue.queue.stop()
  assert.deepEqual((await queue.store.contents()).ids, [])
  assert.deepEqual(await queue.store.quarantined(), [])
  assert.deepEqual(sink.stored, [])
})
