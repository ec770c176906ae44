import assert from 'node:assert/strict'
import { closeSync, openSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { boardBytes, CountBoard } from '../../../src/daemon/admission/count-board.ts'
import { createSharedBytes, openSharedBytes } from '../../../src/storage/shared-bytes.ts'
import { tempDir } from '../../support/temp-dir.ts'

const columns = 3
const seed = [1, 2] as const

/** A board of three workers, each with the memory opened for itself. */
async function boards(use: (workers: CountBoard[]) => void): Promise<void> {
  using dir = tempDir()
  using owned = await createSharedBytes(dir.join('.'), 512 + boardBytes(columns))
  const workers = Array.from({ length: columns }, (_, column) => {
    const bytes = openSharedBytes(owned.descriptor, (error) => assert.fail(String(error)))
    return new CountBoard({ bytes, offset: 512, columns, column, seed })
  })
  use(workers)
}

test('every worker sees what all of them have counted', async () => {
  await boards((workers) => {
    const step = fc.record({
      worker: fc.nat(columns - 1),
      key: fc.nat(40),
      by: fc.constantFrom(1, 1, -1),
    })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.string(), (steps, run) => {
        const counts = new Map<string, number>()
        const own = new Map<string, number>()
        for (const { worker, key, by } of steps) {
          const [name, place] = [`${run} ${key}`, `${worker} ${key}`]
          // Nobody leaves who has not come.
          if (by < 0 && (own.get(place) ?? 0) === 0) continue
          own.set(place, (own.get(place) ?? 0) + by)
          counts.set(name, (counts.get(name) ?? 0) + by)
          assert.equal(workers[worker]?.add(name, by).sum, counts.get(name))
        }
        for (const board of workers) {
          for (const [name, count] of counts) assert.equal(board.sums(name, 0, 0).sum, count)
        }
        for (const [place, count] of own) {
          const [worker, key] = place.split(' ')
          for (let left = count; left > 0; left--) workers[Number(worker)]?.add(`${run} ${key}`, -1)
        }
      }),
      { numRuns: 50 },
    )
  })
})

test('what a worker counted that is gone can be forgotten, and nothing else', async () => {
  await boards(([first, second, third]) => {
    for (let key = 0; key < 500; key++) {
      first?.add(String(key), 2)
      second?.add(String(key), 3)
    }
    third?.clear(0)
    for (let key = 0; key < 500; key++) assert.equal(third?.sums(String(key), 0, 0).sum, 3)
  })
})

test('counts of an earlier time give way, and those that are kept do not', async () => {
  await boards(([board]) => {
    for (let stamp = 10; stamp < 30; stamp++) {
      for (let key = 0; key < 2_000; key++) board?.add(String(key), 1, stamp, stamp - 1)
    }
    let found = 0
    for (let key = 0; key < 2_000; key++) {
      found += board?.sums(String(key), 29, 29).sum ?? 0
      found += board?.sums(String(key), 28, 28).sum ?? 0
      assert.equal(board?.sums(String(key), 27, 27).sum, 0)
    }
    assert.ok(found > 3_950, `${found} of 4000`)
  })
})

test('however many keys come, no count is more than was counted, and most are exact', async () => {
  await boards(([board]) => {
    let exact = 0
    for (let key = 0; key < 30_000; key++) {
      const sum = board?.add(String(key), 1).sum ?? 0
      assert.ok(sum <= 1)
      exact += sum
    }
    assert.equal(exact, 30_000)
    let kept = 0
    for (let key = 0; key < 30_000; key++) kept += board?.sums(String(key), 0, 0).sum ?? 0
    assert.ok(kept > 28_500, `${kept}`)
  })
})

test('memory that cannot be written counts nobody, and is told of once', () => {
  const faults: unknown[] = []
  const descriptor = openSync('/dev/null', 'r')
  using _ = { [Symbol.dispose]: () => closeSync(descriptor) }
  const bytes = openSharedBytes(descriptor, (error) => faults.push(error))
  const board = new CountBoard({ bytes, offset: 0, columns, column: 0, seed })
  for (let count = 0; count < 100; count++)
    assert.deepEqual(board.add('key', 1), { sum: 1, keptSum: 0, isKept: false })
  assert.match(String(faults), /^Error: EBADF/)
  assert.equal(faults.length, 1)
})
