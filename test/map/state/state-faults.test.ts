/** What the kernel does to a change at each of its calls, those of SQLite included. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Config } from '../../../src/config/config.ts'
import { applyChange } from '../../../src/map/state/apply-change.ts'
import {
  answersOf,
  buildSample,
  findSample,
  sampleAfter,
  sampleBefore,
} from '../../support/sample-change.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { skipWithout } from '../../support/tools.ts'
import { type TracedEnd, traceChange } from '../../support/traced-change.ts'

const skip = skipWithout('strace')
const atOnce = 2

/** Runs the change with a fault at its first call, its second…, until there is no such call. */
async function atEachCall(
  fault: (call: number) => string,
  check: (folder: string, config: Config, end: TracedEnd) => Promise<void>,
): Promise<Map<string, number>> {
  const outcomes = new Map<string, number>()
  let next = 1
  let isOver = false
  const runAll = async (): Promise<void> => {
    while (!isOver) {
      const call = next
      next++
      assert.ok(call < 200)
      using dir = tempDir()
      const config = await buildSample(dir.path)
      const end = await traceChange(dir.path, fault(call))
      await check(dir.path, config, end)
      outcomes.set(end.outcome, (outcomes.get(end.outcome) ?? 0) + 1)
      if (end.outcome === 'done') isOver = true
    }
  }
  await Promise.all(Array.from({ length: atOnce }, runAll))
  return outcomes
}

for (const call of ['pwrite64', 'fsync', 'rename', 'ftruncate', 'unlink']) {
  test(`a command that is killed at any ${call} leaves the old or the new, which is made whole`, {
    skip,
  }, async () => {
    const outcomes = await atEachCall(
      (number) => `${call}:signal=KILL:when=${number}`,
      async (folder, config, { outcome, where }) => {
        const before = answersOf(config)
        const wasChanged = before.bob === sampleAfter.answers.bob
        assert.deepEqual(before, (wasChanged ? sampleAfter : sampleBefore).answers, where)
        await applyChange(config, () => Promise.resolve(undefined))
        const found = findSample(config, folder)
        const isChanged = found.answers.bob === sampleAfter.answers.bob
        assert.deepEqual(found, isChanged ? sampleAfter : sampleBefore, where)
        // What was in force already is not taken back.
        if (wasChanged || outcome === 'done') assert.ok(isChanged, where)
      },
    )
    assert.ok((outcomes.get('killed') ?? 0) > 0)
    assert.ok(outcomes.has('done'))
  })
}

const faults = {
  // Each second one: the test takes its time.
  'the disk is full from any write on': (call: number) =>
    `pwrite64:error=ENOSPC:when=${2 * call - 1}+`,
  'any fsync fails': (call: number) => `fsync:error=EIO:when=${call}`,
}

for (const [what, fault] of Object.entries(faults)) {
  test(`where ${what}, a change is refused whole, or made whole later and said so`, {
    skip,
  }, async () => {
    const outcomes = await atEachCall(fault, async (folder, config, { outcome, where }) => {
      assert.match(outcome, /^(?:done|STATE_UNUSABLE|MAP_[A-Z_]+)$/, where)
      await applyChange(config, () => Promise.resolve(undefined))
      const isMade = outcome === 'done' || outcome === 'MAP_CHANGE_UNFINISHED'
      assert.deepEqual(findSample(config, folder), isMade ? sampleAfter : sampleBefore, where)
    })
    assert.ok((outcomes.get('STATE_UNUSABLE') ?? 0) > 0)
    assert.ok(outcomes.has('done'))
  })
}
