import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Config } from '../../src/config/config.ts'
import { parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { checkMap } from '../../src/map/check-map.ts'
import { openGeneration } from '../../src/map/compared-map.ts'
import { readHeader } from '../../src/map/database/open-database.ts'
import { listHistory } from '../../src/map/history.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { rollBack } from '../../src/map/rollback.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { InterruptedDisk } from '../support/interrupted-disk.ts'
import { configOf } from '../support/map-case.ts'
import { planUser } from '../support/sample-change.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const killedRollback = fileURLToPath(new URL('../support/killed-rollback.ts', import.meta.url))

function site(dir: TempDir, backend: string): Config {
  const lines = `ann@example.com ${backend}\nbob@example.com b@${backend}\nmax ${backend}\n`
  writeFileSync(dir.join('user_map'), lines)
  writeFileSync(dir.join('aliases'), 'info: ann@example.com, max\n')
  return configOf(dir.path, dir.join('map.db'))
}

function backendOf(text: string, config: Config): string | undefined {
  const map = openMapInForce(config)
  try {
    const address = parseAddress(text, config.naming)
    assert.ok(address)
    const found = map.resolve('delivery', address, config.naming)
    return found.result === 'route' ? found.destination.backend : undefined
  } finally {
    map.close()
  }
}

/** Generations: 1 a build, 2 and 3 changes since, 4 a build that says something else. */
async function fourGenerations(dir: TempDir): Promise<Config> {
  const config = site(dir, 'fritz')
  await buildMap(config)
  await applyChange(config, async () => planUser(dir.path, 'zoe'))
  await applyChange(config, async () => planUser(dir.path, 'yan'))
  site(dir, 'otto')
  await buildMap(config, { force: true })
  return config
}

test('every generation is listed with what it was, and whether it is kept', async () => {
  using dir = tempDir()
  const config = await fourGenerations(dir)
  const entries = await listHistory(config)
  assert.deepEqual(
    entries.map(({ generation, kind, description, kept, inForce }) => {
      return [generation, kind, description, kept, inForce]
    }),
    [
      [1, 'build', 'build-map', true, false],
      [2, 'change', 'user add zoe@example.com ingrid', true, false],
      [3, 'change', 'user add yan@example.com ingrid', true, false],
      [4, 'build', 'build-map', true, true],
    ],
  )
  assert.deepEqual([entries[0]?.users, entries[0]?.aliases], [3, 1])
  for (const [generation, zoe, yan] of [
    [1, false, false],
    [2, true, false],
    [3, true, true],
  ] as const) {
    using map = await openGeneration(config, generation)
    const has = (name: string): boolean => map.lookup.find(`${name}@example.com`) !== undefined
    assert.deepEqual([has('zoe'), has('yan')], [zoe, yan])
  }
  await assert.rejects(openGeneration(config, 5), { code: 'MAP_GENERATION_UNKNOWN' })
})

test('a rollback puts an older build in force as a new generation, and sources stay', async () => {
  using dir = tempDir()
  const config = await fourGenerations(dir)
  const source = readFileSync(dir.join('user_map'))
  const report = await rollBack(config, 1)
  assert.deepEqual([report.generation, report.users, report.aliases], [5, 3, 1])
  assert.equal(backendOf('ann@example.com', config), 'fritz')
  assert.equal(backendOf('zoe@example.com', config), undefined)
  assert.ok(readFileSync(dir.join('user_map')).equals(source))
  assert.equal((await checkMap(config)).equal, false)
  // And back again, and what the sources say by the next build.
  await rollBack(config, 4)
  assert.equal(backendOf('max@example.net', config), 'otto')
  await rollBack(config, 5)
  assert.equal((await buildMap(config, { force: true })).generation, 8)
  assert.equal((await checkMap(config)).equal, true)
})

test('a rollback to a live change has the build and the changes up to it', async () => {
  using dir = tempDir()
  const config = await fourGenerations(dir)
  await rollBack(config, 2)
  assert.equal(backendOf('ann@example.com', config), 'fritz')
  assert.equal(backendOf('bob@example.com', config), 'fritz')
  assert.equal(backendOf('zoe@example.com', config), 'ingrid')
  assert.equal(backendOf('yan@example.com', config), undefined)
})

test('a back-end that the config has no more, and a generation that is not kept, are refused', async () => {
  using dir = tempDir()
  const config = await fourGenerations(dir)
  const before = readFileSync(config.map.database)
  const backends = new Map([...config.backends].filter(([name]) => name !== 'fritz'))
  await assert.rejects(rollBack({ ...config, backends }, 1), { code: 'MAP_BACKEND_GONE' })
  await assert.rejects(rollBack(config, 9), { code: 'MAP_GENERATION_UNKNOWN' })
  rmSync(dir.join('map.db.history/1.db'))
  for (const generation of [1, 2, 3]) {
    await assert.rejects(rollBack(config, generation), { code: 'MAP_GENERATION_UNKNOWN' })
  }
  assert.ok(readFileSync(config.map.database).equals(before))
})

test('a damaged map in force is rolled back from', async () => {
  using dir = tempDir()
  const config = await fourGenerations(dir)
  rmSync(config.map.database)
  writeFileSync(config.map.database, 'nothing that can be read')
  assert.equal((await rollBack(config, 3)).generation, 5)
  assert.equal(backendOf('yan@example.com', config), 'ingrid')
})

test('only as many older builds are kept as the config says', async () => {
  using dir = tempDir()
  const config = site(dir, 'fritz')
  const few = { ...config, map: { ...config.map, history: 2 } }
  for (const backend of ['fritz', 'otto', 'ingrid', 'paul', 'fritz']) {
    site(dir, backend)
    await buildMap(few, { force: true })
  }
  assert.deepEqual(
    readdirSync(dir.join('map.db.history')).toSorted((a, b) => (a < b ? -1 : 1)),
    ['3.db', '4.db'],
  )
  const kept = (await listHistory(few)).filter((one) => one.kept).map((one) => one.generation)
  assert.deepEqual(kept, [3, 4, 5])
  const none = { ...config, map: { ...config.map, history: 0 } }
  await buildMap(none)
  assert.deepEqual(readdirSync(dir.join('map.db.history')), [])
})

test('builds that change nothing do not crowd out those that did', async () => {
  using dir = tempDir()
  const config = site(dir, 'fritz')
  const few = { ...config, map: { ...config.map, history: 2 } }
  await buildMap(few)
  site(dir, 'otto')
  await buildMap(few, { force: true })
  for (let build = 0; build < 4; build++) await buildMap(few)
  const kept = (await listHistory(few)).filter((one) => one.kept).map((one) => one.generation)
  assert.deepEqual(kept, [1, 5, 6])
  await rollBack(few, 1)
  assert.equal(backendOf('ann@example.com', few), 'fritz')
})

test('a base that was kept before the command was ended is kept once', async () => {
  using dir = tempDir()
  const config = site(dir, 'fritz')
  await buildMap(config)
  await buildMap(config)
  linkSync(config.map.database, dir.join('map.db.history/2.db'))
  assert.equal((await buildMap(config)).generation, 3)
  assert.equal(readHeader(dir.join('map.db.history/2.db')).generation, 2)
})

for (const mode of ['fails', 'killed'] as const) {
  test(`whichever call of a rollback ${mode}, a whole map is in force and nothing is lost`, async () => {
    let isDone = false
    for (let failAt = 1; !isDone; failAt++) {
      using fresh = tempDir()
      const config = await fourGenerations(fresh)
      if (mode === 'fails') {
        isDone = await rollBack(config, 1, new InterruptedDisk(failAt, 'fails')).then(
          () => true,
          () => false,
        )
      } else {
        const args = [killedRollback, fresh.path, String(failAt)]
        isDone = spawnSync(process.execPath, args).status === 0
      }
      const found = backendOf('ann@example.com', config)
      assert.ok(found === 'fritz' || (found === 'otto' && !isDone), `call ${failAt}: ${found}`)
      const { generation } = readHeader(config.map.database)
      assert.equal(generation, found === 'fritz' ? 5 : 4)
      const again = await rollBack(config, 4)
      assert.ok(again.generation > generation)
      assert.equal(backendOf('ann@example.com', config), 'otto')
      using first = await openGeneration(config, 1)
      assert.equal(first.database.header.users, 3)
      const left = readdirSync(fresh.path).filter((name) => name.endsWith('.tmp'))
      assert.deepEqual(left, [])
      assert.ok(failAt < 100 && existsSync(config.map.database))
    }
  })
}

test('a map that is in force, but cannot be written into the history, is not called a failure', async () => {
  using dir = tempDir()
  const config = site(dir, 'fritz')
  await buildMap(config)
  const state = new DatabaseSync(dir.join('state.db'))
  state.exec(
    "CREATE TRIGGER full BEFORE INSERT ON history BEGIN SELECT RAISE(FAIL, 'disk is full'); END",
  )
  state.close()
  const { generation, warnings } = await buildMap(config)
  assert.equal(readHeader(config.map.database).generation, generation)
  assert.match(
    warnings[0]?.message ?? '',
    /^generation 2 is in force, but not in the history: .*full/,
  )
  const report = await rollBack(config, 1)
  assert.equal(readHeader(config.map.database).generation, report.generation)
  assert.match(report.warning ?? '', /^generation 3 is in force, but not in the history: .*full/)
})

test('where no map can be there is no history', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'nora fritz\n')
  const config = configOf(dir.path, dir.join('user_map/map.db'))
  assert.deepEqual(await listHistory(config), [])
})
