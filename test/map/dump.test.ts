import assert from 'node:assert/strict'
import { cpSync, existsSync, globSync, mkdirSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { compileAside } from '../../src/map/check-map.ts'
import { openCurrent } from '../../src/map/compared-map.ts'
import { describeChange } from '../../src/map/describe-difference.ts'
import { Difference } from '../../src/map/difference.ts'
import { dumpMap } from '../../src/map/dump.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { configOf } from '../support/map-case.ts'
import { planUser } from '../support/sample-change.ts'
import { tempDir } from '../support/temp-dir.ts'

const cases = globSync('test/maps/*/routes').map((file) => file.replace(/\/routes$/, ''))

for (const folder of cases) {
  test(`what is dumped of ${basename(folder)}, taken as sources, says the same`, async () => {
    using dir = tempDir()
    const config = configOf(folder, dir.join('map.db'))
    using map = await compileAside(config)
    const lines: Record<string, string[]> = {}
    for (const { source, line } of dumpMap(map.database, map.records())) {
      ;(lines[source] ??= []).push(line)
    }
    if (existsSync(`${folder}/mailmux.yaml`))
      cpSync(`${folder}/mailmux.yaml`, dir.join('mailmux.yaml'))
    mkdirSync(dir.join('popmap'))
    for (const [source, text] of Object.entries(lines)) {
      // Patterns of a domain stand in any popmap, expressions in one of their own.
      const name = source.startsWith('popmap') ? `popmap/${source}` : source
      writeFileSync(dir.join(name), text.map((line) => `${line}\n`).join(''))
    }
    using again = await compileAside(configOf(dir.path, dir.join('map.db')))
    const difference = [...new Difference(map, again, config.naming).changes()]
    // Which of two files comes first may differ, and with it the order of patterns.
    const found = difference.filter((one) => one.change !== 'moved').map(describeChange)
    assert.deepEqual(found, [])
    assert.ok(Object.keys(lines).length > 0)
  })
}

test('changes since the build are in a dump, in place of what they change', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\nbob@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  await applyChange(config, async () => planUser(dir.path, 'zoe'))
  using map = openCurrent(config)
  const lines = [...dumpMap(map.database, map.records())].map(({ line }) => line)
  assert.deepEqual(lines, [
    'ann@example.com fritz',
    'bob@example.com fritz',
    'zoe@example.com ingrid',
  ])
})
