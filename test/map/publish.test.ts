import assert from 'node:assert/strict'
import { chmodSync, chownSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { MailmuxError } from '../../src/base/error.ts'
import { parseAddress } from '../../src/mail/address.ts'
import { buildMap } from '../../src/map/build.ts'
import { checkMap } from '../../src/map/check-map.ts'
import { openMap, openMapInForce } from '../../src/map/open.ts'
import { rollBack } from '../../src/map/rollback.ts'
import { FailingDisk } from '../support/failing-disk.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

const generationAt = 24

function generationOf(bytes: Buffer): number {
  return Number(bytes.readBigUInt64LE(generationAt))
}

for (const kind of ['afterPowerCut', 'afterKill'] as const) {
  test(`whichever call fails, ${kind} leaves the old database or the new one, whole`, async () => {
    using dir = tempDir()
    const path = dir.join('map.db')
    const config = configOf('test/maps/aliases', path)
    await buildMap(config)
    const old = readFileSync(path)
    let failed = true
    for (let failAt = 1; failed; failAt++) {
      const disk = new FailingDisk(failAt)
      disk.put(path, old)
      failed = await buildMap(config, { disk }).then(
        () => false,
        (error: unknown) => error instanceof MailmuxError && error.code === 'MAP_WRITE_FAILED',
      )
      const left = disk[kind](path) ?? Buffer.alloc(0)
      const isOld = left.equals(old)
      if (!failed) assert.ok(!isOld, 'a build that succeeded is there')
      if (!isOld) {
        writeFileSync(dir.join('left.db'), left)
        const map = openMap(dir.join('left.db'))
        assert.equal(map.generation, generationOf(old) + 1, `call ${failAt}`)
        map.close()
      }
      const others = disk.names.filter((name) => name !== path)
      const kept = `${path}.history/1.db`
      if (failAt > 6 && failed)
        assert.ok(
          others.every((name) => name === kept),
          'nothing else',
        )
      if (!isOld) assert.ok(disk[kind](kept)?.equals(old), 'the old one is kept')
      assert.ok(failAt < 1000)
    }
  })
}

test('two builds of the same sources differ in their generation only', async () => {
  using dir = tempDir()
  const path = dir.join('map.db')
  const config = configOf('test/maps/aliases', path)
  assert.equal((await buildMap(config)).unchanged, false)
  const first = readFileSync(path)
  assert.equal((await buildMap(config)).unchanged, true)
  const second = readFileSync(path)
  assert.deepEqual([generationOf(first), generationOf(second)], [1, 2])
  for (const bytes of [first, second]) {
    bytes.fill(0, generationAt, generationAt + 8)
    bytes.fill(0, 4092, 4096)
  }
  assert.ok(first.equals(second))
})

test('a check proves that the database is what the sources say, and sees every change', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'nora@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  assert.equal((await checkMap(config)).equal, true)
  writeFileSync(dir.join('user_map'), '# a comment\nNora@example.com   fritz\n')
  assert.equal((await checkMap(config)).equal, true)
  writeFileSync(dir.join('user_map'), 'nora@example.com ingrid\n')
  assert.equal((await checkMap(config)).equal, false)
  writeFileSync(dir.join('user_map'), 'nora@example.com fritz\n')
  const bytes = readFileSync(dir.join('map.db'))
  bytes[4096 + 9] = (bytes[4096 + 9] ?? 0) ^ 1
  writeFileSync(dir.join('map.db'), bytes)
  await assert.rejects(checkMap(config), { code: 'MAP_DATABASE_DAMAGED' })
})

test('errors in the sources leave the database in force', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'nora@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const before = readFileSync(dir.join('map.db'))
  writeFileSync(dir.join('user_map'), 'nora@example.com nowhere\n')
  await assert.rejects(buildMap(config), { code: 'MAP_INVALID' })
  assert.ok(readFileSync(dir.join('map.db')).equals(before))
})

test('strict takes a warning as an error', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'nora@example.com fritz\nnora@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  assert.equal((await buildMap(config)).warningCount, 1)
  await assert.rejects(buildMap(config, { strict: true }), { code: 'MAP_INVALID' })
})

test('a damaged database is replaced, with a warning', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('map.db'), 'what is this?')
  const report = await buildMap(configOf('test/maps/popmap', dir.join('map.db')))
  assert.equal(report.generation, 1)
  assert.ok(report.warnings.some(({ code }) => code === 'previous-damaged'))
})

test('generations go on after one whose records are damaged', async () => {
  using dir = tempDir()
  const config = configOf('test/maps/aliases', dir.join('map.db'))
  await buildMap(config)
  await buildMap(config)
  truncateSync(dir.join('map.db'), 5000)
  assert.equal((await buildMap(config)).generation, 3)
})

test('a reader goes on with the database that it has opened', async () => {
  using dir = tempDir()
  const config = configOf('test/maps/aliases', dir.join('map.db'))
  await buildMap(config)
  const map = openMap(dir.join('map.db'))
  await buildMap(config)
  const address = parseAddress('staff@example.com', config.naming)
  assert.ok(address)
  assert.equal(map.resolve('delivery', address, config.naming).result, 'expand')
  assert.equal(map.generation, 1)
  map.close()
})

test('a database belongs to the owner of its directory, also where root builds it', {
  skip: process.getuid?.() === 0 ? false : 'needs root',
}, async () => {
  using dir = tempDir()
  chownSync(dir.path, 1234, 5678)
  const config = configOf('test/maps/aliases', dir.join('map.db'))
  const about = (): number[] => {
    const { uid, gid, mode } = statSync(config.map.database)
    return [uid, gid, mode & 0o777]
  }
  await buildMap(config)
  assert.deepEqual(about(), [1234, 5678, 0o640])
  chmodSync(config.map.database, 0o604)
  chownSync(config.map.database, 4321, 8765)
  await buildMap(config)
  assert.deepEqual(about(), [4321, 8765, 0o604], 'what was set by hand stays')
})

test('a map that this user may not read is not called damaged, nor replaced', {
  skip: process.getuid?.() === 0 ? false : 'needs root, to be another user',
}, async () => {
  using dir = tempDir()
  const config = configOf('test/maps/aliases', dir.join('map.db'))
  await buildMap(config)
  const [user, root] = [65_534, 0]
  for (const name of ['.', 'map.db', 'state.db', 'change.lock'])
    chownSync(dir.join(name), user, user)
  chmodSync(config.map.database, 0o000)
  process.seteuid?.(user)
  try {
    const refused = { code: 'MAP_DATABASE_UNREADABLE', message: /map\.db: cannot be read: EACCES/ }
    assert.throws(() => openMapInForce(config), refused)
    await assert.rejects(buildMap(config, { force: true }), refused)
    await assert.rejects(rollBack(config, 1), refused)
  } finally {
    process.seteuid?.(root)
  }
  assert.equal(generationOf(readFileSync(config.map.database)), 1)
})
