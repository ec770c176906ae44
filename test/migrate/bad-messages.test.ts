import assert from 'node:assert/strict'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { test } from 'node:test'
import { type BadMessage, BadMessages } from '../../src/migrate/bad-messages.ts'
import { tempDir } from '../support/temp-dir.ts'

const bad = (uid: number, changes: Partial<BadMessage> = {}): BadMessage => ({
  folder: 'a',
  uid,
  sizeBytes: 3,
  reason: '[CANNOT] no',
  body: Buffer.from('x\0y'),
  ...changes,
})

test('a message that is left behind is kept as a file, for its owner alone', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 1)
  await messages.keep(bad(7))
  const [kept, ...others] = messages.found
  assert.ok(kept !== undefined && others.length === 0)
  const { file, ...told } = kept
  assert.deepEqual(told, { folder: 'a', uid: 7, sizeBytes: 3, reason: '[CANNOT] no' })
  assert.deepEqual(readFileSync(file), Buffer.from('x\0y'))
  assert.equal(statSync(file).mode & 0o777, 0o600)
})

test('one more than may be left behind is told of as the reason, and kept as well', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 1)
  await messages.keep(bad(7))
  await assert.rejects(messages.keep(bad(8, { reason: 'too odd' })), {
    code: 'TOO_MANY_BAD',
    message: 'ann@example.com: a, message 8: too odd (2 such messages)',
  })
  assert.equal(messages.found.length, 2)
})

test('one that is refused again in another pass counts once', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 1)
  await messages.keep(bad(7))
  await messages.keep(bad(7, { reason: 'still' }))
  assert.deepEqual(
    messages.found.map(({ reason }) => reason),
    ['still'],
  )
})

async function* pieces(...texts: readonly string[]): AsyncGenerator<Buffer, void, undefined> {
  for (const text of texts) {
    if (text === '') throw new Error('cut off')
    yield Buffer.from(text)
  }
}

test('one that streams is kept piece by piece, and read once', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 1)
  await messages.keep(bad(7, { body: pieces('ab', 'c') }))
  await messages.keep(bad(7, { body: pieces('never', 'read') }))
  assert.deepEqual(
    messages.found.map(({ file }) => readFileSync(file, 'utf8')),
    ['abc'],
  )
})

test('one that cannot be read to its end is not told of, and leaves no file', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 0)
  await assert.rejects(messages.keep(bad(7, { body: pieces('ab', '') })), /cut off/)
  assert.deepEqual(messages.found, [])
  assert.deepEqual(readdirSync(dir.join('quarantine', 'ann@example.com')), [])
})

test('no name of a user or folder leads out of the folder for such files', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, '../../x', 9)
  for (const folder of ['../../../etc/passwd', '..', '.hidden', 'a/b\0c', 'ü'.repeat(9)]) {
    await messages.keep(bad(1, { folder }))
  }
  for (const { file } of messages.found) {
    assert.ok(file.startsWith(dir.join('quarantine', '%2E.%2F..%2Fx')), file)
    assert.equal(file.split('/').length, dir.path.split('/').length + 3, file)
  }
})

test('what is kept of one folder never takes the place of another’s', async () => {
  using dir = tempDir()
  const messages = new BadMessages(dir.path, 'ann@example.com', 99)
  const long = 'ä'.repeat(300)
  const folders = ['a b', 'a_b', 'a/b', 'a%20b', 'ä', 'ö', '\ud800', `${long}1`, `${long}2`]
  for (const folder of folders) await messages.keep(bad(1, { folder, body: Buffer.from(folder) }))
  for (const { folder, file } of messages.found) {
    assert.equal(readFileSync(file, 'utf8'), folder.toWellFormed())
  }
})
