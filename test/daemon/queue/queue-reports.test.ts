import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { simpleParser } from 'mailparser'
import { QueueReports } from '../../../src/daemon/queue/queue-reports.ts'
import type { MailmuxError } from '../../../src/base/error.ts'
import { realDisk } from '../../../src/storage/disk.ts'
import { InterruptedDisk } from '../../support/interrupted-disk.ts'
import type { ScriptedBackend } from '../../support/peer.ts'
import { TestQueue, type TestQueueOptions } from '../../support/queue.ts'
import { Sink, type SinkOptions, users } from '../../support/relay.ts'
import { SimulatedClock } from '../../support/simulated-clock.ts'
import { envelopeOf, inMemory, owed, plainMessage, refused } from '../../support/spool.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** fritz has the recipients, ingrid has ida, who sends. */
class Site implements AsyncDisposable {
  readonly fritz: { readonly sink: Sink; readonly backend: ScriptedBackend }
  readonly ingrid: { readonly sink: Sink; readonly backend: ScriptedBackend }

  private constructor(fritz: Site['fritz'], ingrid: Site['ingrid']) {
    this.fritz = fritz
    this.ingrid = ingrid
  }

  static async start(options: SinkOptions): Promise<Site> {
    return new Site(await Sink.start(options), await Sink.start())
  }

  queue(stateDir: string, more: Partial<TestQueueOptions> = {}): Promise<TestQueue> {
    const backends = { fritz: this.fritz.backend.port, ingrid: this.ingrid.backend.port }
    return TestQueue.start({ stateDir, backends, ...more })
  }

  /** What ida was sent. */
  get told(): string[] {
    return this.ingrid.sink.stored.map(({ data }) => data)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.fritz.backend[Symbol.asyncDispose]()
    await this.ingrid.backend[Symbol.asyncDispose]()
  }
}

const sender = 'ida@example.com'
const busy: SinkOptions = {
  answer: (command) => (command.startsWith('RCPT') ? '450 4.2.1 busy now\r\n' : undefined),
}

async function untilWaiting(queue: TestQueue, id: string): Promise<void> {
  while (queue.queue.entries.get(id)?.state !== 'waiting') await setImmediate()
}

test('what is not delivered in time has failed: the sender hears why, and no name of ours', async () => {
  using dir = tempDir()
  await using site = await Site.start(busy)
  await using queue = await site.queue(dir.path, { config: 'spool: {max_age: 1ms}\n' })
  const envelope = envelopeOf([owed('ann@example.com')], { sender, envelopeId: 'E1' })
  await queue.accept(envelope, inMemory(plainMessage))
  assert.equal((await queue.runtime.waitFor('report')).kind, 'failure')
  await queue.runtime.waitFor('delivery', 3)
  const [told = ''] = site.told
  assert.match(told, /^Original-Envelope-Id: E1\r$/m)
  assert.match(told, /^Action: failed\r\nStatus: 4\.4\.7\r$/m)
  assert.match(
    (await simpleParser(told)).text ?? '',
    /^ {4}it could not be delivered within 0 hours; the last answer was 450 4\.2\.1 busy now$/m,
  )
  assert.doesNotMatch(told, /fritz/)
  await queue.queue.stop()
  assert.deepEqual((await queue.store.contents()).ids, [])
})

test('a sender hears of a delay once, also after another start', async () => {
  using dir = tempDir()
  await using site = await Site.start(busy)
  const config = 'spool: {warn_after: 1ms}\n'
  let id = ''
  {
    await using queue = await site.queue(dir.path, { config })
    const envelope = envelopeOf([owed('ann@example.com')], { sender })
    id = await queue.accept(envelope, inMemory(plainMessage))
    assert.equal((await queue.runtime.waitFor('report')).kind, 'delay')
    await queue.runtime.waitFor('delivery', 2)
    await untilWaiting(queue, id)
  }
  await using queue = await site.queue(dir.path, { config })
  queue.queue.retry(id)
  await queue.runtime.waitFor('delivery')
  await untilWaiting(queue, id)
  assert.deepEqual(queue.runtime.eventsOf('report'), [])
  assert.equal(site.told.length, 1)
  assert.match(site.told[0] ?? '', /^Action: delayed\r$/m)
})

test('a success is told where it was asked for, and the whole message comes back where that was', async () => {
  using dir = tempDir()
  await using site = await Site.start({
    answer: (command) => (command.includes('amy') ? '550 5.1.1 no amy\r\n' : undefined),
  })
  await using queue = await site.queue(dir.path)
  const recipients = [
    owed('ann@example.com', { notify: ['SUCCESS'] }),
    owed('amy@example.com', { notify: ['FAILURE'] }),
  ]
  const envelope = envelopeOf(recipients, { sender, ret: 'FULL' })
  await queue.accept(envelope, inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 4)
  const [success = '', failure = ''] = site.told.toSorted((one) =>
    one.includes('relayed') ? -1 : 1,
  )
  assert.match(success, /^Action: relayed\r\nStatus: 2\.0\.0\r$/m)
  assert.doesNotMatch(success, /amy@/)
  assert.match(failure, /^Final-Recipient: rfc822; amy@example\.com\r$/m)
  assert.ok(failure.includes('Content-Type: message/rfc822'))
  assert.ok(failure.includes('line\r\n..dot\r\n'), 'stuffed as on the wire')
})

test('a sender that is an alias gets it at every place it leads to', async () => {
  using dir = tempDir()
  await using site = await Site.start({})
  await using queue = await site.queue(dir.path, {
    routes: {
      ...users,
      'list@example.com': {
        result: 'expand',
        user: 'list@example.com',
        destinations: [
          { address: 'ann@example.com', backend: 'fritz', login: 'ann' },
          { address: 'ida@example.com', backend: 'ingrid', login: 'ida' },
        ],
      },
    },
  })
  const envelope = envelopeOf([refused('amy@example.com')], { sender: 'list@example.com' })
  await queue.accept(envelope, inMemory(plainMessage))
  await queue.runtime.waitFor('delivery', 2)
  assert.equal(site.told.length, 1)
  assert.equal(site.fritz.sink.stored.length, 1)
})

test('so many notifications at once are enough: the others come later', async () => {
  using dir = tempDir()
  await using site = await Site.start({})
  await using queue = await site.queue(dir.path)
  await queue.queue.stop()
  const clock = new SimulatedClock()
  const reports = new QueueReports(queue.writer, clock)
  const envelope = envelopeOf([refused('ann@example.com')], { sender })
  const kinds: string[] = []
  for (let count = 0; count < 103; count++) {
    if (count === 102) clock.advance(1000)
    const id = await queue.accept(envelope, inMemory(plainMessage))
    const file = await queue.store.open(id)
    const { recipients } = file.progress
    kinds.push((await reports.write(file, 'failure', recipients, queue.runtime.current)).kind)
    await file.close()
  }
  assert.ok(kinds.slice(0, 100).every((kind) => kind === 'written'))
  assert.deepEqual(kinds.slice(100), ['later', 'later', 'written'])
})

test('whichever call of the disk fails once, nothing that was taken in is lost on its way', async () => {
  let calls = 0
  for (let failAt = 1, hasFailed = true; hasFailed; failAt++) {
    using dir = tempDir()
    await using site = await Site.start({
      answer: (command) => (command.includes('amy') ? '550 5.1.1 no amy\r\n' : undefined),
    })
    const disk = new InterruptedDisk(failAt, 'fails')
    const id = await lead(site, dir.path, disk)
    // What is left goes out when the disk works again.
    await using queue = await site.queue(dir.path, { disk: realDisk })
    queue.queue.retry()
    const aside = (await queue.store.quarantined()).map((one) => one.id)
    while ((await queue.store.contents()).ids.length > 0) await setImmediate()
    const when = `call ${failAt}`
    if (id !== undefined && !aside.some((one) => one.startsWith(id.slice(0, 17)))) {
      assert.ok(site.fritz.sink.stored.length >= 1, when)
      assert.ok(site.told.length >= 1, when)
    }
    assert.ok(site.fritz.sink.stored.length <= 1, `${when}: no process has died`)
    hasFailed = disk.calls >= failAt
    calls = failAt
  }
  assert.ok(calls > 20, `${calls} calls`)
})

/** Takes one message in and does with it what can be done; undefined where it was refused. */
async function lead(
  site: Site,
  stateDir: string,
  disk: InterruptedDisk,
): Promise<string | undefined> {
  let queue: TestQueue
  try {
    queue = await site.queue(stateDir, { disk })
  } catch (error) {
    assert.equal((error as MailmuxError).code, 'SPOOL_UNUSABLE')
    return undefined
  }
  await using running = queue
  const envelope = envelopeOf([owed('ann@example.com'), owed('amy@example.com')], { sender })
  const id = await running.accept(envelope, inMemory(plainMessage)).catch((error: unknown) => {
    assert.equal((error as MailmuxError).code, 'SPOOL_FULL')
    return undefined
  })
  for (;;) {
    const { ids } = await running.store.contents()
    await running.queue.notice(ids)
    if (ids.every((one) => running.queue.entries.get(one)?.state === 'waiting')) return id
    await setImmediate()
  }
}
