import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

test('an index that is asked on disk gives the answers of one in memory', async () => {
  using dir = tempDir()
  const names = Array.from({ length: 5000 }, (_, number) => `user${number}@example.com`)
  const lines = names.map((name, n) => `${name} ${n % 3 === 0 ? `x${n}@` : ''}fritz\n`)
  writeFileSync(dir.join('user_map'), lines.join(''))
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const inMemory = openMap(config.map.database)
  const onDisk = openMap(config.map.database, undefined, 'few questions')
  for (const name of [...names, ...names.map((one) => `no-${one}`)]) {
    assert.deepEqual(onDisk.lookup.find(name), inMemory.lookup.find(name), name)
    assert.deepEqual(onDisk.place(name, 'user_map'), inMemory.place(name, 'user_map'))
  }
  assert.ok(inMemory.lookup.find('user4999@example.com'))
  inMemory.close()
  onDisk.close()
})
