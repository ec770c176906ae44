import assert from 'node:assert/strict'
import { test } from 'node:test'
import { coalesce } from '../../src/daemon/coalesce.ts'

/** Runs that end when they are told to. */
function controlled() {
  const runs: PromiseWithResolvers<number>[] = []
  const ask = coalesce(() => {
    const run = Promise.withResolvers<number>()
    runs.push(run)
    return run.promise
  })
  return { runs, ask }
}

test('a storm of questions is two runs: the one under way and one for all the others', async () => {
  const { runs, ask } = controlled()
  const first = ask()
  const others = Array.from({ length: 100 }, ask)
  assert.equal(runs.length, 1)
  runs[0]?.resolve(1)
  assert.equal(await first, 1)
  assert.equal(runs.length, 2)
  runs[1]?.resolve(2)
  assert.deepEqual(new Set(await Promise.all(others)), new Set([2]))
  assert.equal(runs.length, 2)
})

test('a run that fails fails its own questions, and the next one is another run', async () => {
  const { runs, ask } = controlled()
  const first = ask()
  const second = ask()
  runs[0]?.reject(new Error('no'))
  await assert.rejects(first, /no/)
  runs[1]?.resolve(2)
  assert.equal(await second, 2)
  const third = ask()
  runs[2]?.resolve(3)
  assert.equal(await third, 3)
})
