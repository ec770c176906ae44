import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { MessageFile, UnusableFile, type UnusableReason } from '../../src/spool/message-file.ts'
import { newId } from '../../src/spool/spool-places.ts'
import { realDisk } from '../../src/storage/disk.ts'
import { contentOf, envelopeOf, inMemory, openSpool, owed, plainMessage } from '../support/spool.ts'
import { tempDir } from '../support/temp-dir.ts'

const user = process.getuid?.() ?? 0
const id = newId(0)

/** A message's file with a journal of two records, and where the journal begins. */
async function sample(): Promise<{ bytes: Buffer; journalAt: number }> {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const envelope = envelopeOf([owed('ann@example.com'), owed('ida@example.com')])
  await spool.writer.acceptAs(id, envelope, inMemory(plainMessage))
  const path = join(spool.places.directory, `${id}.msg`)
  const journalAt = readFileSync(path).length
  const file = await spool.store.open(id)
  const outcome = { backend: 'fritz', code: 250, status: '2.0.0', text: 'ok' }
  await file.append(
    { do: 'outcomes', at: 1, outcomes: [{ ...outcome, recipients: [0], result: 'delivered' }] },
    'durable',
  )
  await file.append({ do: 'ended', at: 2, next: 3 }, 'durable')
  await file.close()
  return { bytes: readFileSync(path), journalAt }
}

type Seen = UnusableReason | { readonly content: string; readonly results: readonly string[] }

/** What delivery would see of a file with these bytes. */
async function see(bytes: Buffer): Promise<Seen> {
  using dir = tempDir()
  const path = dir.join(`${id}.msg`)
  writeFileSync(path, bytes)
  try {
    const file = await MessageFile.open(realDisk, path, id, user)
    try {
      const content = await contentOf(file)
      return { content, results: file.progress.recipients.map(({ result }) => result) }
    } finally {
      await file.close()
    }
  } catch (error) {
    assert.ok(error instanceof UnusableFile, String(error))
    return error.reason
  }
}

const whole: Seen = { content: plainMessage, results: ['delivered', 'owed'] }
const fresh: Seen = { content: plainMessage, results: ['owed', 'owed'] }

test('cut at any byte, a message is unusable, or whole with fewer outcomes', async () => {
  const { bytes, journalAt } = await sample()
  assert.deepEqual(await see(bytes), whole)
  for (let length = 0; length < bytes.length; length++) {
    const seen = await see(bytes.subarray(0, length))
    if (length < journalAt) assert.equal(seen, 'damaged', `${length} bytes`)
    else assert.ok(isEither(seen), `${length} bytes: ${JSON.stringify(seen)}`)
  }
})

function isEither(seen: Seen): boolean {
  return [whole, fresh].some((one) => JSON.stringify(one) === JSON.stringify(seen))
}

test('any flipped bits and any junk make it unusable, or take outcomes from it, never anything else', async () => {
  const { bytes, journalAt } = await sample()
  await fc.assert(
    fc.asyncProperty(
      fc.nat(bytes.length - 1),
      fc.integer({ min: 1, max: 255 }),
      async (at, mask) => {
        const flipped = Buffer.from(bytes)
        flipped[at] = (flipped[at] ?? 0) ^ mask
        const seen = await see(flipped)
        if (at < journalAt) assert.equal(seen, 'damaged')
        else assert.ok(seen === 'damaged' || isEither(seen), JSON.stringify(seen))
      },
    ),
    { numRuns: 400 },
  )
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), async (junk) => {
      const seen = await see(Buffer.concat([bytes, junk]))
      assert.ok(seen === 'damaged' || isEither(seen), JSON.stringify(seen))
    }),
    { numRuns: 200 },
  )
  assert.equal(await see(Buffer.concat([bytes, Buffer.from('junk\n')])), 'damaged')
  assert.equal(await see(Buffer.concat([bytes, bytes])), 'damaged')
})

test('what is no file of ours is unusable: links, pipes, folders, files of others or other messages', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const { directory } = spool.places
  const good = await spool.writer.accept(
    envelopeOf([owed('ann@example.com')]),
    inMemory(plainMessage),
  )
  const path = (name: string): string => join(directory, `${name}.msg`)
  const ids = Array.from({ length: 6 }, (_, at) => newId(at + 1))
  const [symbolic = '', hard = '', pipe = '', folder = '', renamed = '', missing = ''] = ids
  const elsewhere = dir.join('secret')
  writeFileSync(elsewhere, readFileSync(path(good)))
  symlinkSync(elsewhere, path(symbolic))
  linkSync(elsewhere, path(hard))
  assert.equal(spawnSync('mkfifo', [path(pipe)]).status, 0)
  mkdirSync(path(folder))
  writeFileSync(path(renamed), readFileSync(path(good)))
  const reasonOf = (name: string): Promise<unknown> =>
    spool.store.open(name).then(
      () => 'usable',
      (error: { reason?: string; code?: string }) => error.reason ?? error.code,
    )
  assert.equal(await reasonOf(symbolic), 'linked')
  assert.equal(await reasonOf(hard), 'linked')
  assert.equal(await reasonOf(pipe), 'not_a_file')
  assert.equal(await reasonOf(folder), 'not_a_file')
  assert.equal(await reasonOf(renamed), 'damaged')
  assert.equal(await reasonOf(missing), 'ENOENT')
  await assert.rejects(MessageFile.open(realDisk, path(good), good, user + 1), {
    reason: 'wrong_owner',
  })
  // All of them can be kept aside as they are; where a link leads nothing is touched.
  for (const name of [symbolic, hard, pipe, folder, renamed]) {
    await spool.store.quarantine(name, 'damaged')
  }
  assert.deepEqual((await spool.store.contents()).ids, [good])
  assert.equal((await spool.store.quarantined()).length, 5)
  assert.equal(readFileSync(elsewhere, 'utf8'), readFileSync(path(good), 'utf8'))
})

test('odd names are told and left alone, however long they are', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const odd = ['x'.repeat(255), 'README', `${newId(1)}.msg.bak`, '.hidden', 'lock2'].sort()
  for (const name of odd) writeFileSync(join(spool.places.directory, name), '')
  assert.deepEqual(await spool.store.contents(), { ids: [], odd })
})

test('what is set aside never takes the place of what is there already', async () => {
  using dir = tempDir()
  using spool = await openSpool(dir.path)
  const { quarantine } = spool.places
  const envelope = envelopeOf([owed('ann@example.com')])
  for (let round = 0; round < 3; round++) {
    await spool.writer.acceptAs(id, envelope, inMemory(`round ${round}\r\n`))
    await spool.store.quarantine(id, 'poison')
  }
  const kept = await spool.store.quarantined()
  assert.deepEqual(
    kept.map(({ name }) => name),
    [`${id}.poison`, `${id}.poison.2`, `${id}.poison.3`],
  )
  assert.match(readFileSync(join(quarantine, `${id}.poison.2`), 'utf8'), /round 1/)
})

test('a spool that others may look into is refused, and its folders and files are closed to them', async () => {
  using dir = tempDir()
  {
    using spool = await openSpool(dir.path)
    const name = await spool.writer.accept(
      envelopeOf([owed('ann@example.com')]),
      inMemory(plainMessage),
    )
    const { directory, quarantine } = spool.places
    const modes = [directory, quarantine, join(directory, `${name}.msg`)].map(
      (path) => statSync(path).mode & 0o777,
    )
    assert.deepEqual(modes, [0o700, 0o700, 0o600])
  }
  renameSync(dir.join('spool'), dir.join('closed'))
  mkdirSync(dir.join('spool'), { mode: 0o755 })
  await assert.rejects(openSpool(dir.path), { code: 'SPOOL_UNUSABLE' })
})
