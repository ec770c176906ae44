import assert from 'node:assert/strict'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import {
  meaningOf,
  newId,
  notificationId,
  spoolPlaces,
  temporaryPath,
} from '../../src/spool/spool-places.ts'
import { type Disk, realDisk } from '../../src/storage/disk.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'
import {
  contentOf,
  envelopeOf,
  inFile,
  inMemory,
  openSpool,
  owed,
  plainMessage,
  refused,
} from '../support/spool.ts'
import { tempDir } from '../support/temp-dir.ts'

test('what nobody waits for any more when it is written is not taken in', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const given = [envelopeOf([owed('ann@example.com')]), inMemory(plainMessage)] as const
  await assert.rejects(spool.writer.accept(...given, AbortSignal.abort()), { code: 'SPOOL_FAILED' })
  const names = readdirSync(spool.places.directory)
  assert.deepEqual(
    names.filter((name) => meaningOf(name).kind !== 'own'),
    [],
  )
})

test('what is taken in is read again: envelope, content, and when it came', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const envelope = envelopeOf(
    [
      owed('ann+x@example.com', {
        originalRecipient: 'rfc822;a+2Bb@example.com',
        notify: ['SUCCESS', 'FAILURE'],
      }),
      refused('"odd one"@example.com', { notify: ['NEVER'] }),
      owed('jürgen@example.com', {
        state: { kind: 'owed', backend: undefined, reason: 'frozen' },
      }),
    ],
    { sender: '', body: '8BITMIME', smtpUtf8: true, ret: 'HDRS', envelopeId: 'QQ+2B1' },
  )
  const large = Buffer.alloc(200_000, 'all of it, to the last octet\r\n')
  const ids = [
    await spool.writer.accept(envelope, inMemory(plainMessage)),
    await spool.writer.accept(envelope, inFile(large)),
    await spool.writer.accept(envelope, { kind: 'memory', parts: [] }),
  ]
  assert.deepEqual((await spool.store.contents()).ids, ids.toSorted())
  for (const [at, text] of [plainMessage, large.toString('latin1'), ''].entries()) {
    const file = await spool.store.open(ids[at] ?? '')
    assert.deepEqual(file.head, { id: ids[at], arrivedAt: spool.clock.wall(), envelope })
    assert.equal(await contentOf(file), text)
    assert.equal(file.contentBytes, text.length)
    const { recipients, attempts } = file.progress
    assert.deepEqual(
      recipients.map(({ result, text: why }) => [result, why]),
      [
        ['owed', 'fritz cannot be reached'],
        ['failed', 'the content is not wanted here'],
        ['owed', 'frozen'],
      ],
    )
    assert.equal(attempts, 0)
    await file.close()
  }
})

test('a thousand recipients are one message', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const recipients = Array.from({ length: 1000 }, (_, at) => owed(`user${at}@example.com`))
  const id = await spool.writer.accept(envelopeOf(recipients), inMemory(plainMessage))
  const file = await spool.store.open(id)
  assert.equal(file.progress.recipients.length, 1000)
  assert.equal(await contentOf(file), plainMessage)
  await file.close()
})

test('beyond its caps a spool is full, also for those that come at once, and takes more when some have left', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const { writer } = spool
  const envelope = envelopeOf([owed('ann@example.com')])
  const offer = (): Promise<string> => writer.accept(envelope, inMemory('x'.repeat(100)))
  const outcomes = async (count: number): Promise<string[]> =>
    (await Promise.allSettled(Array.from({ length: count }, offer))).map((one) =>
      one.status === 'fulfilled' ? 'ok' : (one.reason as { code: string }).code,
    )
  writer.caps = { maxMessages: 3, maxSizeBytes: 1 << 20 }
  assert.deepEqual(await outcomes(5), ['ok', 'ok', 'ok', 'SPOOL_FULL', 'SPOOL_FULL'])
  writer.usage = { messages: 1, bytes: 100 }
  assert.deepEqual(await outcomes(3), ['ok', 'ok', 'SPOOL_FULL'])
  writer.usage = { messages: 1, bytes: 100 }
  writer.caps = { maxMessages: 100, maxSizeBytes: 350 }
  assert.deepEqual(await outcomes(3), ['ok', 'ok', 'SPOOL_FULL'])
})

test('no message takes the place of another: an id that is taken is not given again', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const { places, clock } = spool
  const given = [newId(1), newId(1), newId(2)]
  const [first = '', , third = ''] = given
  let calls = 0
  const makeId = (): string => [first, first, third][calls++] ?? ''
  const caps = { maxMessages: 10, maxSizeBytes: 1 << 20 }
  const writer = new FileSpoolWriter({ disk: realDisk, places, caps, clock, makeId })
  const envelope = envelopeOf([owed('ann@example.com')])
  assert.equal(await writer.accept(envelope, inMemory('one\r\n')), first)
  assert.equal(await writer.accept(envelope, inMemory('two\r\n')), third)
  // A notification that was written before a crash is not written again.
  const id = notificationId(first, 1)
  assert.equal(await writer.acceptAs(id, envelope, inMemory('three\r\n')), id)
  assert.equal(await writer.acceptAs(id, envelope, inMemory('four\r\n')), id)
  for (const [name, text] of [
    [first, 'one\r\n'],
    [third, 'two\r\n'],
    [id, 'three\r\n'],
  ] as const) {
    const file = await spool.store.open(name)
    assert.equal(await contentOf(file), text)
    await file.close()
  }
})

test('many at once share the syncs of the directory, and none returns before one that saw its name', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const renamed = new Set<string>()
  const durable = new Set<string>()
  let syncs = 0
  const disk: Disk = {
    ...realDisk,
    async rename(from, to) {
      await realDisk.rename(from, to)
      renamed.add(to)
    },
    async syncDirectory(directory) {
      syncs++
      const seen = [...renamed]
      await realDisk.syncDirectory(directory)
      for (const name of seen) durable.add(name)
    },
  }
  const { places } = spool
  const caps = { maxMessages: 1000, maxSizeBytes: 1 << 30 }
  const writer = new FileSpoolWriter({ disk, places, caps, clock: new SimulatedClock() })
  const envelope = envelopeOf([owed('ann@example.com')])
  const accepting = Array.from({ length: 200 }, async () => {
    const id = await writer.accept(envelope, inMemory(plainMessage))
    assert.ok([...durable].some((name) => name.includes(id)))
  })
  await Promise.all(accepting)
  assert.ok(syncs < 150, `${syncs} syncs for 200 messages`)
})

test('what another run of the system has left goes, whatever process bears its number now', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const { directory } = spoolPlaces(dir.path)
  const id = newId(Date.now())
  const own = temporaryPath(spoolPlaces(dir.path), id)
  for (const path of [own, join(directory, `tmp.0123abcd.${process.pid}.${id}`)]) {
    writeFileSync(path, '')
  }
  assert.equal(await spool.store.removeLeftovers(Date.now()), 1)
  assert.ok(existsSync(own), 'that of a living process')
})

test('names tell what a file is', () => {
  const id = newId(Date.UTC(2026, 0, 5))
  assert.deepEqual(meaningOf(`${id}.msg`), { kind: 'message', id })
  const child = notificationId(id, 3)
  assert.deepEqual(meaningOf(`${child}.msg`), { kind: 'message', id: child })
  const temporary = { kind: 'temporary', boot: 'c0ffee00', pid: 123 }
  assert.deepEqual(meaningOf(`tmp.c0ffee00.123.${id}`), temporary)
  assert.ok(newId(1) < newId(2) && newId(2) < newId(Date.now()))
})
