import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { MailmuxError } from '../../src/base/error.ts'
import { FileSpoolWriter } from '../../src/spool/file-spool-writer.ts'
import type { MessageFile } from '../../src/spool/message-file.ts'
import { spoolPlaces } from '../../src/spool/spool-places.ts'
import type { SpooledContent } from '../../src/spool/spooled-message.ts'
import { type Disk, realDisk } from '../../src/storage/disk.ts'
import { FailingDisk } from '../support/failing-disk.ts'
import { InterruptedDisk } from '../support/interrupted-disk.ts'
import { SimulatedClock } from '../support/simulated-clock.ts'
import {
  contentOf,
  envelopeOf,
  inFile,
  inMemory,
  openStore,
  owed,
  plainMessage,
} from '../support/spool.ts'
import { tempDir } from '../support/temp-dir.ts'

const places = spoolPlaces('/state')
const large = `Subject: large\r\n\r\n${'0123456789abcdef\r\n'.repeat(8000)}`

/** What the spool has promised so far. */
class Model {
  readonly messages = new Map<string, { readonly text: string; results: string[] }>()
  readonly quarantined = new Set<string>()
  /** All outcomes were durable when the removal was asked for. */
  readonly done = new Set<string>()
}

const outcome = { backend: 'fritz', code: 250, status: '2.0.0', text: 'ok' } as const

async function record(
  file: MessageFile,
  [index, result]: readonly [number, 'delivered' | 'failed'],
  model: Model,
): Promise<void> {
  await file.append(
    { do: 'outcomes', at: 1, outcomes: [{ ...outcome, recipients: [index], result }] },
    'durable',
  )
  const message = model.messages.get(file.head.id)
  if (message !== undefined) message.results[index] = result
}

/** A life of three messages: delivered in two attempts, kept aside, and waiting. */
async function work(disk: Disk, model: Model): Promise<void> {
  const caps = { maxMessages: 10, maxSizeBytes: 1 << 30 }
  const writer = new FileSpoolWriter({ disk, places, caps, clock: new SimulatedClock() })
  const accept = async (content: SpooledContent, text: string): Promise<string> => {
    const envelope = envelopeOf([owed('ann@example.com'), owed('ida@example.com')])
    const id = await writer.accept(envelope, content)
    model.messages.set(id, { text, results: ['owed', 'owed'] })
    return id
  }
  const [first, second] = await Promise.all([
    accept(inMemory(plainMessage), plainMessage),
    accept(inFile(Buffer.from(large)), large),
  ])
  await accept(inMemory(plainMessage), plainMessage)
  using store = await openStore(disk, places)
  const file = await store.open(first)
  await file.append({ do: 'attempt', at: 1 }, 'lazy')
  await record(file, [0, 'delivered'], model)
  await file.append({ do: 'ended', at: 2, next: 3 }, 'lazy')
  await file.close()
  const again = await store.open(first)
  await record(again, [1, 'failed'], model)
  const told = { of: 'failure', recipients: [1], notification: 'x' } as const
  await again.append({ do: 'reported', ...told }, 'durable')
  await again.close()
  model.done.add(first)
  await store.remove(first)
  await store.quarantine(second, 'poison')
  model.quarantined.add(second)
}

/** I-SPOOL: nothing that was promised is gone, and nothing is there in part. */
async function check(disk: FailingDisk, model: Model, when: string): Promise<void> {
  using store = await openStore(disk, places)
  const { ids, odd } = await store.contents()
  assert.deepEqual(odd, [], when)
  for (const id of ids) {
    const file = await store.open(id)
    const text = await contentOf(file)
    assert.ok(text === plainMessage || text === large, `${when}: whole`)
    await file.close()
  }
  const aside = await store.quarantined()
  for (const [id, { text, results }] of model.messages) {
    if (model.done.has(id) && !ids.includes(id)) continue
    const kept = aside.find((one) => one.id === id)
    // Between the syncs of the two folders it may have a name in both.
    if (kept !== undefined && !ids.includes(id)) await store.release(kept, 1)
    else if (kept === undefined)
      assert.ok(!model.quarantined.has(id), `${when}: ${id} stays in quarantine`)
    const file = await store.open(id)
    assert.equal(await contentOf(file), text, when)
    for (const { index, result } of file.progress.recipients) {
      const promised = results[index]
      if (promised !== 'owed') assert.equal(result, promised, `${when}: ${id} ${index}`)
    }
    await file.close()
  }
  const before = leftovers(disk)
  assert.equal(await store.removeLeftovers(Date.now()), before, when)
  assert.equal(leftovers(disk), 0, when)
}

function leftovers(disk: FailingDisk): number {
  return disk.names.filter((name) => name.includes('/tmp.')).length
}

for (const end of ['power cut', 'kill'] as const) {
  for (const renames of ['durable at once', 'durable when synced'] as const) {
    test(`a ${end} at any call of the disk loses nothing promised; names ${renames}`, async () => {
      let calls = 0
      for (let failAt = 1, failed = true; failed; failAt++) {
        const disk = new FailingDisk(failAt, renames, 'fail too')
        const model = new Model()
        failed = await work(disk, model).then(
          () => false,
          ({ code }: MailmuxError) => {
            assert.ok(['SPOOL_FAILED', 'SPOOL_UNUSABLE', 'EIO'].includes(code), code)
            return true
          },
        )
        await check(disk.after(end), model, `call ${failAt}`)
        calls = failAt
      }
      assert.ok(calls > 25, `${calls} calls`)
    })
  }
}

test('what was refused is not there when the disk works again, unless that was said', async () => {
  const said = new Set<string>()
  for (let failAt = 1, failed = true; failed; failAt++) {
    const disk = new FailingDisk(failAt, 'durable at once', 'fail too')
    const caps = { maxMessages: 10, maxSizeBytes: 1 << 30 }
    const clock = new SimulatedClock()
    let detail = ''
    const suspect = (text: string): void => {
      detail = text
    }
    const writer = new FileSpoolWriter({ disk, places, caps, clock, suspect })
    const envelope = envelopeOf([owed('ann@example.com')])
    const taken = await writer
      .accept(envelope, inFile(Buffer.from(large)))
      .catch(({ code }: MailmuxError) => {
        assert.equal(code, 'SPOOL_FAILED')
        return undefined
      })
    failed = taken === undefined
    disk.mend()
    clock.advance(60_000)
    const id = await writer.accept(envelope, inMemory(plainMessage))
    using store = await openStore(disk, places)
    const { ids } = await store.contents()
    const [stays] = /^\w+(?=: .*could not be put in quarantine)/.exec(detail) ?? []
    if (ids.length > 1 && failed) said.add(stays ?? '')
    const expected = [taken ?? (ids.length > 1 ? stays : undefined), id]
    assert.deepEqual(
      ids,
      expected.filter((one) => one !== undefined),
      `call ${failAt}`,
    )
  }
  assert.equal(said.size, 1, 'where the directory could not be synced')
})

for (const code of ['ENOSPC', 'EDQUOT', 'EMFILE', 'ENFILE', 'EROFS']) {
  test(`${code} at any call is no room: nothing stays, and the next message is taken at once`, async () => {
    const caps = { maxMessages: 10, maxSizeBytes: 1 << 30 }
    const envelope = envelopeOf([owed('ann@example.com')])
    const failures: string[] = []
    let calls = 0
    for (let failAt = 1; calls === 0; failAt++) {
      using dir = tempDir()
      const disk = new InterruptedDisk(failAt, 'fails', code)
      const own = spoolPlaces(dir.path)
      const suspect = (detail: string): void => void failures.push(detail)
      const clock = new SimulatedClock()
      const writer = new FileSpoolWriter({ disk, places: own, caps, clock, suspect })
      const accept = (): Promise<string> => writer.accept(envelope, inFile(Buffer.from(large)))
      const refusal = await accept().then(
        () => undefined,
        (error: MailmuxError) => error.code,
      )
      if (disk.calls < failAt) {
        assert.equal(refusal, undefined)
        calls = disk.calls
        continue
      }
      assert.equal(refusal, 'SPOOL_FULL', `call ${failAt}`)
      const kept = await accept()
      using store = await openStore(realDisk, own)
      assert.deepEqual((await store.contents()).ids, [kept], `call ${failAt}`)
      assert.equal(await store.removeLeftovers(Infinity), 0, `call ${failAt}`)
    }
    assert.ok(calls > 5, `${calls} calls`)
    assert.deepEqual(failures, [], 'nothing is wrong with the disk')
  })
}

test('after an fsync that failed nothing is taken for a while, and the file is kept aside', async () => {
  const details: string[] = []
  // Calls: two folders, create, then the content and the head.
  const disk = new FailingDisk(5, 'durable at once')
  const clock = new SimulatedClock()
  const caps = { maxMessages: 10, maxSizeBytes: 1 << 30 }
  const suspect = (detail: string): void => void details.push(detail)
  const writer = new FileSpoolWriter({ disk, places, caps, clock, suspect })
  const envelope = envelopeOf([owed('ann@example.com')])
  await assert.rejects(writer.accept(envelope, inMemory(plainMessage)), { code: 'SPOOL_FAILED' })
  assert.match(details[0] ?? '', /call 5 fails; it could not be put in quarantine: call 6 fails$/)
  disk.mend()
  const calls = disk.calls
  await assert.rejects(writer.accept(envelope, inMemory(plainMessage)), { code: 'SPOOL_FAILED' })
  assert.equal(disk.calls, calls, 'the disk is left alone')
  clock.advance(60_000)
  await writer.accept(envelope, inMemory(plainMessage))
})
