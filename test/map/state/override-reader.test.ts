import assert from 'node:assert/strict'
import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { MailmuxError } from '../../../src/base/error.ts'
import { OverrideReader } from '../../../src/map/state/override-reader.ts'
import { State } from '../../../src/map/state/state.ts'
import { tempDir } from '../../support/temp-dir.ts'

const entry = {
  targets: undefined,
  delivery: { kind: 'backend', backend: 'ingrid' },
  retrieval: undefined,
} as const

async function change(folder: string, generation: number, key: string, gone = false) {
  using state = await State.open(folder)
  const place = { file: '/etc/mailmux/user_map', line: 10, column: 1 }
  const override = { key, entry: gone ? undefined : entry, places: { user_map: place } }
  const shifts = [{ file: place.file, line: 4, delta: 2 }]
  state.record({ generation, kind: 'change', description: key }, { overrides: [override], shifts })
}

function reader(folder: string, base = 1) {
  const problems: MailmuxError[] = []
  const report = (problem: MailmuxError): void => void problems.push(problem)
  const overrides = new OverrideReader({ path: `${folder}/state.db`, base, report })
  return { overrides, problems, [Symbol.dispose]: () => overrides.close() }
}

/** What is looked at at most once in a turn is looked at in the next. */
async function refreshed({ overrides }: ReturnType<typeof reader>): Promise<string[]> {
  await nextTurn()
  overrides.refresh()
  return [...overrides.byKey].map(
    ([key, { entry: found, generation }]) =>
      `${key} ${found === undefined ? '-' : ''}${generation}`,
  )
}

test('a state database that comes later is read, and each change after it', async () => {
  using dir = tempDir()
  using open = reader(dir.path)
  assert.deepEqual(await refreshed(open), [])
  await change(dir.path, 2, 'ann@example.com')
  // The name is looked for on every turn while there is no file.
  assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
  await change(dir.path, 3, 'bob@')
  assert.equal(open.overrides.hasBareKeys, false)
  assert.deepEqual(await refreshed(open), ['ann@example.com 2', 'bob@ 3'])
  assert.equal(open.overrides.hasBareKeys, true)
  await change(dir.path, 4, 'ann@example.com', true)
  assert.deepEqual(await refreshed(open), ['ann@example.com -4', 'bob@ 3'])
  assert.equal(open.overrides.generation, 4)
  assert.deepEqual(open.problems, [])
})

test('what a build has taken over is not read', async () => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  await change(dir.path, 4, 'bob@example.com')
  using open = reader(dir.path, 3)
  assert.deepEqual(await refreshed(open), ['bob@example.com 4'])
})

test('lines are where later changes have moved them', async () => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  await change(dir.path, 3, 'bob@example.com')
  using open = reader(dir.path)
  await refreshed(open)
  const file = '/etc/mailmux/user_map'
  const lineOf = (line: number): number => open.overrides.moved({ file, line, column: 1 }, 1).line
  assert.deepEqual([lineOf(3), lineOf(4), lineOf(5)], [3, 8, 9])
  assert.equal(open.overrides.place('ann@example.com', 'user_map')?.line, 12)
  assert.equal(open.overrides.place('bob@example.com', 'user_map')?.line, 10)
})

test('what was read stays, whatever becomes of the file, and it is said once', async () => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  for (const harm of ['deleted', 'replaced by rubbish'] as const) {
    using open = reader(dir.path)
    assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
    open.overrides.close()
    const path = dir.join('state.db')
    copyFileSync(path, dir.join('kept'))
    if (harm === 'deleted') rmSync(path)
    else writeFileSync(path, Buffer.alloc(8192, 'x'))
    for (let turn = 0; turn < 3; turn++) {
      assert.deepEqual(await refreshed(open), ['ann@example.com 2'], harm)
    }
    assert.equal(open.problems.length, harm === 'replaced by rubbish' ? 1 : 0, harm)
    if (harm === 'replaced by rubbish') assert.equal(open.problems[0]?.code, 'STATE_DAMAGED')
    renameSync(dir.join('kept'), path)
  }
})

test('a state database of a newer version is not touched', async () => {
  using dir = tempDir()
  {
    using state = await State.open(dir.path)
    assert.equal(state.generation, 0)
  }
  const { DatabaseSync } = await import('node:sqlite')
  const database = new DatabaseSync(dir.join('state.db'))
  database.exec('PRAGMA user_version = 99')
  database.close()
  await assert.rejects(State.open(dir.path), { code: 'STATE_UNUSABLE', message: /format 99/ })
})

test('who waits for another command is told so in the end', async () => {
  using dir = tempDir()
  using _held = await State.open(dir.path)
  await assert.rejects(State.open(dir.path, 0), { code: 'STATE_BUSY' })
})
