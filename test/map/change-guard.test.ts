import assert from 'node:assert/strict'
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MailmuxError } from '../../src/base/error.ts'
import type { Config } from '../../src/config/config.ts'
import { buildMap } from '../../src/map/build.ts'
import { configOf } from '../support/map-case.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

/** A site of 100 users, the first `moved` of them at another back-end, the last `gone` not there. */
function writeUsers(dir: TempDir, { moved = 0, gone = 0, added = 0 } = {}): Config {
  const lines = Array.from({ length: 100 - gone + added }, (_, number) => {
    return `user${number}@example.com ${number < moved ? 'ingrid' : 'fritz'}\n`
  })
  writeFileSync(dir.join('user_map'), lines.join(''))
  writeFileSync(dir.join('rules'), 'z-z reject 5.1.1 "nobody"\n')
  return configOf(dir.path, dir.join('map.db'))
}

async function refusalOf(config: Config): Promise<string> {
  const before = readFileSync(config.map.database)
  const failure = await buildMap(config).then(
    () => undefined,
    (error: unknown) => error,
  )
  assert.ok(failure instanceof MailmuxError && failure.code === 'MAP_MAX_CHANGED', String(failure))
  assert.equal(failure.exitCode, 78)
  assert.ok(readFileSync(config.map.database).equals(before), 'the old map stays')
  return failure.message
}

test('a build that sends too many elsewhere is refused, and says how many, who and where to', async () => {
  using dir = tempDir()
  await buildMap(writeUsers(dir))
  const config = writeUsers(dir, { moved: 11 })
  const message = (await refusalOf(config)).split('\n')
  assert.deepEqual(message.slice(0, 3), [
    'fritz → ingrid: 11',
    '~ user user0@example.com: fritz → ingrid',
    '~ user user1@example.com: fritz → ingrid',
  ])
  assert.deepEqual(message.slice(-2), [
    'and 1 more',
    '11 of 100 users would be sent elsewhere or vanish (11%): max_changed is 10%',
  ])
  assert.equal((await buildMap(config, { force: true })).generation, 2)
})

test('as many as the config allows may change, and any number may be new', async () => {
  using dir = tempDir()
  await buildMap(writeUsers(dir))
  assert.equal((await buildMap(writeUsers(dir, { moved: 10 }))).generation, 2)
  assert.equal((await buildMap(writeUsers(dir, { moved: 10, added: 900 }))).generation, 3)
  const wide = writeUsers(dir, { moved: 900, added: 900 })
  const map = { ...wide.map, maxChanged: 0.9 }
  assert.equal((await buildMap({ ...wide, map })).generation, 4)
  const strict = writeUsers(dir, { moved: 901, added: 900 })
  await refusalOf({ ...strict, map: { ...strict.map, maxChanged: 0 } })
})

test('at a small site a few may change, but not all vanish', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\nbob@example.com fritz\n')
  writeFileSync(dir.join('rules'), 'z-z ingrid\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  writeFileSync(dir.join('user_map'), 'ann@example.com ingrid\nbob@example.com ingrid\n')
  await refusalOf({ ...config, map: { ...config.map, maxChanged: 0 } })
  assert.equal((await buildMap(config)).generation, 2)
  writeFileSync(dir.join('user_map'), '# nobody\n')
  await refusalOf(config)
})

for (const gone of [90, 100]) {
  test(`a map that has lost ${gone} % of its users is refused`, async () => {
    using dir = tempDir()
    await buildMap(writeUsers(dir))
    assert.match(
      await refusalOf(writeUsers(dir, { gone })),
      new RegExp(`^${gone} of 100 users`, 'm'),
    )
  })
}

test('aliases that vanish are counted too', async () => {
  using dir = tempDir()
  writeUsers(dir)
  const aliases = Array.from({ length: 20 }, (_, number) => `list${number}: user1\n`)
  writeFileSync(dir.join('aliases'), aliases.join(''))
  await buildMap(configOf(dir.path, dir.join('map.db')))
  writeFileSync(dir.join('aliases'), aliases.slice(10).join(''))
  const message = await refusalOf(configOf(dir.path, dir.join('map.db')))
  assert.match(message, /^10 of 20 aliases would vanish \(50%\)/m)
})

test('a first build is not guarded, nor one over a database that cannot be read', async () => {
  using dir = tempDir()
  await buildMap(writeUsers(dir))
  const config = writeUsers(dir, { moved: 100 })
  truncateSync(config.map.database, 9000)
  const report = await buildMap(config)
  assert.ok(report.warnings.some(({ code }) => code === 'previous-damaged'))
  rmSync(config.map.database)
  assert.equal((await buildMap(writeUsers(dir))).generation, 3)
})
