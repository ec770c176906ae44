/** Octets of messages on their way: asked for early, and given back early. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { readAhead } from '../../src/migrate/message-octets.ts'
import { octetsSpent } from '../../src/migrate/spent-octets.ts'

const MiB = 1024 * 1024

async function* pieces(asked: number[]): AsyncGenerator<Buffer, void, undefined> {
  for (let number = 0; number < 3; number++) {
    asked.push(number)
    yield Buffer.from(String(number))
  }
}

async function* failing(isLost: boolean): AsyncGenerator<Buffer, void, undefined> {
  if (isLost) throw new Error('connection lost')
  yield Buffer.alloc(0)
}

test('the first piece is asked for before anybody comes for it, and all come in order', async () => {
  const asked: number[] = []
  const begun = readAhead(pieces(asked))
  await setImmediate()
  assert.deepEqual(asked, [0])
  const got: string[] = []
  for await (const piece of begun.octets) got.push(String(piece))
  assert.deepEqual(
    [got, asked],
    [
      ['0', '1', '2'],
      [0, 1, 2],
    ],
  )
})

test('what fails before anybody comes for it is told to who comes, and to nobody else', async () => {
  readAhead(failing(true))
  const begun = readAhead(failing(true))
  await setImmediate()
  await assert.rejects(async () => {
    for await (const _ of begun.octets) assert.fail()
  }, /connection lost/)
  await begun.wholeRead
})

test('buffers of what has passed are freed, though the heap has nothing to collect', () => {
  const before = process.memoryUsage().arrayBuffers
  let most = 0
  for (let passed = 0; passed < 48; passed++) {
    Buffer.alloc(MiB, 1)
    octetsSpent(MiB)
    most = Math.max(most, process.memoryUsage().arrayBuffers - before)
  }
  assert.ok(most < 24 * MiB, `${most} octets held`)
})
