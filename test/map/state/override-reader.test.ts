import { execFileSync } from 'node:child_process'
import assert from 'node:assert/strict'
import {
  chmodSync,
  chownSync,
  copyFileSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { type TestContext, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { MailmuxError } from '../../../src/base/error.ts'
import { FreezeTable } from '../../../src/daemon/freezes.ts'
import {
  type KnownChanges,
  lookAnew,
  OverrideReader,
} from '../../../src/map/state/override-reader.ts'
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

interface ReaderOptions {
  readonly base?: number
  readonly known?: KnownChanges
  readonly mayLagMs?: number
  /** Lets the test move the clock that says when the name of the file is looked at. */
  readonly t?: TestContext
}

function reader(folder: string, { base = 1, mayLagMs = 0, known, t }: ReaderOptions = {}) {
  const problems: MailmuxError[] = []
  const report = (problem: MailmuxError): void => void problems.push(problem)
  const path = `${folder}/state.db`
  let now = 0
  t?.mock.method(performance, 'now', () => now)
  const own = { path, base, mayLagMs, report }
  const overrides = new OverrideReader({ ...own, ...(known ? { known } : {}) })
  return {
    overrides,
    problems,
    passSecond: () => {
      now += 1_000
    },
    [Symbol.dispose]: () => overrides.close(),
  }
}

function codesOf({ problems }: ReturnType<typeof reader>): string[] {
  return problems.map(({ code }) => code)
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

test('a reader that may lag behind looks when that time is over, or when it must not', async (t) => {
  using dir = tempDir()
  using open = reader(dir.path, { mayLagMs: 500, t })
  assert.deepEqual(await refreshed(open), [])
  await change(dir.path, 2, 'ann@example.com')
  assert.deepEqual(await refreshed(open), [])
  lookAnew()
  open.overrides.refresh()
  assert.deepEqual([...open.overrides.byKey.keys()], ['ann@example.com'])
  await change(dir.path, 3, 'bob@example.com')
  assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
  open.passSecond()
  assert.deepEqual(await refreshed(open), ['ann@example.com 2', 'bob@example.com 3'])
})

test('a thaw makes known where the user is now, however short ago the last look was', async (t) => {
  using dir = tempDir()
  using open = reader(dir.path, { mayLagMs: 500, t })
  const freezes = new FreezeTable(() => undefined)
  const freeze = freezes.add({ user: 'ann@example.com', epoch: 1, ttlMs: 60_000 })
  assert.deepEqual(await refreshed(open), [])
  await change(dir.path, 2, 'ann@example.com')
  const seen: string[] = []
  freeze.onThaw(() => {
    open.overrides.refresh()
    seen.push(...open.overrides.byKey.keys())
  })
  freezes.thaw('ann@example.com', 1)
  assert.deepEqual(seen, ['ann@example.com'])
})

test('what a build has taken over is not read', async () => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  await change(dir.path, 4, 'bob@example.com')
  using open = reader(dir.path, { base: 3 })
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

/** Puts another file in the place of state.db, as somebody would who restores one. */
function replaceState(folder: string, file: string): void {
  for (const more of ['-wal', '-shm']) rmSync(`${folder}/state.db${more}`, { force: true })
  renameSync(file, `${folder}/state.db`)
}

const harms: Readonly<Record<string, readonly [string, (path: string) => void]>> = {
  'is deleted': ['STATE_LOST', (path) => rmSync(path)],
  'is replaced by rubbish': [
    'STATE_DAMAGED',
    (path) => {
      writeFileSync(`${path}.new`, Buffer.alloc(8192, 'x'))
      renameSync(`${path}.new`, path)
    },
  ],
  'is overwritten in place': ['STATE_DAMAGED', (path) => writeFileSync(path, 'rubbish')],
  'is truncated': ['STATE_LOST', (path) => truncateSync(path, 0)],
  'is replaced by a named pipe': [
    'STATE_UNUSABLE',
    (path) => {
      rmSync(path)
      execFileSync('mkfifo', [path])
    },
  ],
  'is replaced by a directory': [
    'STATE_UNUSABLE',
    (path) => {
      rmSync(path)
      mkdirSync(path)
    },
  ],
}

for (const [what, [code, harm]] of Object.entries(harms)) {
  test(`what was read of a state database that ${what} stays, and it is said once`, async (t) => {
    using dir = tempDir()
    await change(dir.path, 2, 'ann@example.com')
    using open = reader(dir.path, { t })
    assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
    harm(dir.join('state.db'))
    for (let look = 0; look < 3; look++) {
      open.passSecond()
      assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
    }
    assert.deepEqual(codesOf(open), [code])
    using later = reader(dir.path, { known: open.overrides.known })
    assert.deepEqual(await refreshed(later), ['ann@example.com 2'], 'and can be handed on')
    assert.deepEqual(codesOf(later), [code])
  })
}

test('changes in a state database that was made anew are later than those of the lost one', async (t) => {
  using dir = tempDir()
  for (const generation of [2, 3, 4]) await change(dir.path, generation, 'ann@example.com')
  await change(dir.path, 5, 'bob@example.com')
  using open = reader(dir.path, { t })
  await refreshed(open)
  rmSync(dir.join('state.db'))
  for (const more of ['-wal', '-shm']) rmSync(dir.join(`state.db${more}`), { force: true })
  await change(dir.path, 2, 'ann@example.com', true)
  open.passSecond()
  assert.deepEqual(await refreshed(open), ['ann@example.com -2', 'bob@example.com 1'])
  assert.deepEqual(codesOf(open), ['STATE_LOST'])
  await change(dir.path, 3, 'bob@example.com', true)
  assert.deepEqual(await refreshed(open), ['ann@example.com -2', 'bob@example.com -3'])
})

test('an older copy of a state database takes nothing back, and what it is told is later', async (t) => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  copyFileSync(dir.join('state.db'), dir.join('copy'))
  await change(dir.path, 3, 'ann@example.com', true)
  using open = reader(dir.path, { t })
  assert.deepEqual(await refreshed(open), ['ann@example.com -3'])
  replaceState(dir.path, dir.join('copy'))
  open.passSecond()
  assert.deepEqual(await refreshed(open), ['ann@example.com -2'])
  await change(dir.path, 3, 'ann@example.com')
  assert.deepEqual(await refreshed(open), ['ann@example.com 3'])
})

test('a bit that has turned is found, or does not matter', async () => {
  using dir = tempDir()
  for (let generation = 2; generation < 30; generation++) {
    await change(dir.path, generation, `user${generation}@example.com`, generation % 5 === 0)
  }
  const expected = await (async () => {
    using open = reader(dir.path)
    return refreshed(open)
  })()
  const path = dir.join('state.db')
  const whole = readFileSync(path)
  let refused = 0
  for (let at = 0; at < whole.length; at += 61) {
    const bytes = Buffer.from(whole)
    bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8))
    writeFileSync(path, bytes)
    using open = reader(dir.path)
    const found = await refreshed(open)
    const isRefused = codesOf(open).length > 0
    assert.deepEqual(found, isRefused ? [] : expected, `byte ${at}`)
    if (isRefused) refused++
  }
  assert.ok(refused > 50, `${refused} were refused`)
})

test('a change that is damaged in part is not read in part', async () => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  using open = reader(dir.path)
  await refreshed(open)
  await change(dir.path, 3, 'bob@example.com')
  const database = new DatabaseSync(dir.join('state.db'))
  database.exec(
    `INSERT INTO override VALUES (3, 'zoe@example.com', '{"targets":["bob"]}', '{}', 7)`,
  )
  database.close()
  assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
  assert.deepEqual(codesOf(open), ['STATE_DAMAGED'])
})

test('a file that stays empty is no state database', async (t) => {
  using dir = tempDir()
  writeFileSync(dir.join('state.db'), '')
  using open = reader(dir.path, { t })
  assert.deepEqual(await refreshed(open), [])
  assert.deepEqual(codesOf(open), [], 'a command may be making it')
  open.passSecond()
  await refreshed(open)
  assert.deepEqual(codesOf(open), ['STATE_LOST'])
})

const isRoot = process.getuid?.() === 0

test('who may only read reads what commands of others have written', {
  skip: isRoot ? false : 'needs root, to be another user',
}, async (t) => {
  using dir = tempDir()
  await change(dir.path, 2, 'ann@example.com')
  chmodSync(dir.path, 0o755)
  chmodSync(dir.join('state.db'), 0o644)
  const [user, root] = [65_534, 0]
  process.seteuid?.(user)
  try {
    using open = reader(dir.path, { t })
    assert.deepEqual(await refreshed(open), ['ann@example.com 2'])
    process.seteuid?.(root)
    await change(dir.path, 3, 'bob@example.com')
    process.seteuid?.(user)
    open.passSecond()
    assert.deepEqual(await refreshed(open), ['ann@example.com 2', 'bob@example.com 3'])
    assert.deepEqual(codesOf(open), [])
  } finally {
    process.seteuid?.(root)
  }
})

test('what root writes belongs to the owner of the directory', {
  skip: isRoot ? false : 'needs root',
}, async () => {
  using dir = tempDir()
  chownSync(dir.path, 1234, 5678)
  using _state = await State.open(dir.path)
  for (const name of ['state.db', 'state.db-wal', 'state.db-shm', 'change.lock']) {
    const { uid, gid, mode } = statSync(dir.join(name))
    const expected = name === 'change.lock' ? 0o600 : 0o640
    assert.deepEqual([uid, gid, mode & 0o777], [1234, 5678, expected], name)
  }
})

test('a state database of a newer version is not touched', async () => {
  using dir = tempDir()
  {
    using state = await State.open(dir.path)
    assert.equal(state.generation, 0)
  }
  const database = new DatabaseSync(dir.join('state.db'))
  database.exec('PRAGMA user_version = 99')
  database.close()
  await assert.rejects(State.open(dir.path), { code: 'STATE_UNUSABLE', message: /format 99/ })
})

test('who waits for another command is told so in the end', async () => {
  using dir = tempDir()
  using _held = await State.open(dir.path)
  await assert.rejects(State.open(dir.path, 0), {
    code: 'STATE_BUSY',
    message: new RegExp(`another command is changing the map \\(process ${process.pid}: .*node`),
  })
})
