/** The copy of a message under way: whole, bounded in memory, gone when it is not needed. */
import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { limits } from '../../../src/base/limit.ts'
import { MessageCopy } from '../../../src/daemon/relay/relay-copy.ts'
import type { SpooledContent } from '../../../src/spool/spooled-message.ts'
import type { DiskFile } from '../../../src/storage/disk.ts'
import { openUnnamedFile } from '../../../src/storage/unnamed-file.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** A file in memory that can be told to wait or to fail. */
class TestFile implements DiskFile {
  octets = Buffer.alloc(0)
  isClosed = false
  gate: Promise<void> = Promise.resolve()
  error: Error | undefined
  largest = 0

  async write(bytes: Uint8Array, position: number): Promise<void> {
    await this.gate
    if (this.error !== undefined) throw this.error
    assert.equal(position, this.octets.length, 'in order, without gaps')
    this.largest = Math.max(this.largest, bytes.length)
    this.octets = Buffer.concat([this.octets, bytes])
  }

  readBack(position: number, lengthBytes: number): Buffer {
    return this.octets.subarray(position, position + lengthBytes)
  }

  sync(): Promise<void> {
    throw new Error('a copy is not to survive')
  }

  close(): Promise<void> {
    this.isClosed = true
    return Promise.resolve()
  }
}

function copyTo(file: TestFile, stallMs = 10_000): { copy: MessageCopy; changes: () => number } {
  let changes = 0
  const copy = new MessageCopy({
    openFile: () => Promise.resolve(file),
    stallMs,
    changed: () => void changes++,
  })
  return { copy, changes: () => changes }
}

function textOf(content: SpooledContent): Buffer {
  return content.kind === 'memory'
    ? Buffer.concat(content.parts)
    : content.file.readBack(0, content.lengthBytes)
}

test('however a message comes in pieces, the copy is the message', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 30 }),
      fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }),
      async (sizes, pauses) => {
        const file = new TestFile()
        const { copy } = copyTo(file)
        const parts = sizes.map((size, index) => Buffer.alloc(size, 65 + (index % 26)))
        for (const [index, part] of parts.entries()) {
          copy.add(part)
          if (pauses[index] === true) await new Promise((next) => void setImmediate(next))
        }
        const whole = Buffer.concat(parts)
        const content = await copy.content()
        assert.ok(textOf(content).equals(whole))
        assert.equal(content.kind, whole.length > limits.messageCopyBytes ? 'file' : 'memory')
        copy.discard()
        assert.equal(file.isClosed, content.kind === 'file')
      },
    ),
    { numRuns: 60 },
  )
})

test('up to its size it is kept in memory, as it came', async () => {
  const { copy } = copyTo(new TestFile())
  const part = Buffer.alloc(limits.messageCopyBytes, 'x')
  copy.add(part)
  assert.equal(copy.isBlocked, false)
  const content = await copy.content()
  assert.ok(content.kind === 'memory')
  assert.equal(content.parts[0], part, 'not copied')
})

test('while the disk is slow no more is to be given, and it is told when it is', async () => {
  const file = new TestFile()
  const { promise, resolve } = Promise.withResolvers<void>()
  file.gate = promise
  const { copy, changes } = copyTo(file)
  for (let count = 0; count < 5; count++) copy.add(Buffer.alloc(65_536, 'x'))
  assert.equal(copy.isBlocked, true)
  assert.equal(changes(), 0)
  resolve()
  await copy.content()
  assert.equal(copy.isBlocked, false)
  assert.ok(changes() > 0)
  copy.discard()
})

test('many small pieces are few writes', async () => {
  const file = new TestFile()
  let writes = 0
  const write = file.write.bind(file)
  file.write = (bytes, position) => {
    writes++
    return write(bytes, position)
  }
  const { copy } = copyTo(file)
  for (let count = 0; count < 100_000; count++) copy.add(Buffer.from('12345678'))
  await copy.content()
  assert.equal(file.octets.length, 800_000)
  assert.ok(writes < 20, `${writes}`)
  assert.ok(file.largest <= 65_536)
  copy.discard()
})

test('a disk that fails is told at once, and where the copy is asked for', async () => {
  const file = new TestFile()
  file.error = Object.assign(new Error('no room'), { code: 'ENOSPC' })
  const { copy, changes } = copyTo(file)
  copy.add(Buffer.alloc(limits.messageCopyBytes + 1))
  await assert.rejects(copy.content(), /no room/)
  assert.equal(copy.failure, file.error)
  assert.equal(changes(), 1)
  copy.add(Buffer.alloc(1_000_000))
  assert.equal(copy.isBlocked, false, 'nobody waits for it any more')
  copy.discard()
  assert.equal(file.isClosed, true)
})

test('a disk that takes nothing is given up after a while', async () => {
  const file = new TestFile()
  const { promise, resolve } = Promise.withResolvers<void>()
  file.gate = promise
  const failed = Promise.withResolvers<void>()
  const copy = new MessageCopy({
    openFile: () => Promise.resolve(file),
    stallMs: 100,
    changed: () => failed.resolve(),
  })
  copy.add(Buffer.alloc(limits.messageCopyBytes + 1))
  await failed.promise
  assert.match(copy.failure?.message ?? '', /took nothing/)
  copy.discard()
  assert.equal(file.isClosed, false, 'not under a write that may still come')
  resolve()
  while (!file.isClosed) await new Promise((next) => void setImmediate(next))
})

test('a copy that is discarded while it is written is closed after that', async () => {
  const file = new TestFile()
  const { promise, resolve } = Promise.withResolvers<void>()
  file.gate = promise
  const { copy, changes } = copyTo(file)
  copy.add(Buffer.alloc(limits.messageCopyBytes + 1))
  await new Promise((next) => void setImmediate(next))
  copy.discard()
  resolve()
  while (!file.isClosed) await new Promise((next) => void setImmediate(next))
  assert.equal(changes(), 0)
})

test('the file of a copy has no name, also in a folder that was not there', async () => {
  using dir = tempDir()
  const folder = dir.join('spool')
  const [one, two] = await Promise.all([openUnnamedFile(folder), openUnnamedFile(folder)])
  assert.deepEqual(readdirSync(folder), [])
  assert.equal(statSync(folder).mode & 0o777, 0o700)
  await one.write(Buffer.from('one'), 0)
  await two.write(Buffer.from('two'), 0)
  const [first, second] = [one, two].map((file) => file.readBack(0, 3).toString('latin1'))
  assert.deepEqual([first, second], ['one', 'two'])
  await one.close()
  await two.close()
})

test('where there can be no file it is said why', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('spool'), '')
  await assert.rejects(openUnnamedFile(dir.join('spool')), { code: 'ENOTDIR' })
  await assert.rejects(openUnnamedFile(dir.join('no', 'spool')), { code: 'ENOENT' })
  assert.equal(existsSync(dir.join('no')), false)
})
