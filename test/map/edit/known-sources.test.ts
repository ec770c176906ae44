/** What a build or a change has taken in is not searched again, and what is written by hand is found. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { MailmuxError } from '../../../src/base/error.ts'
import type { Config } from '../../../src/config/config.ts'
import { buildMap } from '../../../src/map/build.ts'
import { addUser } from '../../../src/map/edit/add-user.ts'
import { removeUser } from '../../../src/map/edit/change-user.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { rollBack } from '../../../src/map/rollback.ts'
import { State } from '../../../src/map/state/state.ts'
import { configOf } from '../../support/map-case.ts'
import { tempDir } from '../../support/temp-dir.ts'

function add(config: Config, name: string, value = 'fritz', replace = false): Promise<unknown> {
  return addUser(config, { name, everyDomain: false, value, retrieval: undefined, replace })
}

/** Lines of a file as the state has them; undefined where it must be searched. */
async function linesOf(config: Config, file: string): Promise<number | undefined> {
  const map = openMapInForce(config)
  map.close()
  using state = await State.open(config.stateDir)
  return state.knownSources(map.base).linesOf(file)
}

function isUnbuilt(error: unknown): boolean {
  return (
    error instanceof MailmuxError &&
    error.code === 'CHANGE_REFUSED' &&
    error.message.includes('not in the map yet')
  )
}

const startOf = fc.constantFrom(
  'ann@example.com fritz\n',
  '\ufeffann@example.com fritz\r\n\r\n# bob\r\nbob@example.com\tingrid',
  '# nobody\n\nann@example.com fritz',
)
const step = fc.record({
  name: fc.constantFrom('ann', 'bob', 'carl', 'dora').map((name) => `${name}@example.com`),
  value: fc.constantFrom('fritz', 'otto', undefined),
})

interface Step {
  readonly name: string
  readonly value?: string | undefined
}

async function changeAndCheck(start: string, steps: readonly Step[]): Promise<void> {
  using dir = tempDir()
  const file = dir.join('user_map')
  writeFileSync(file, start)
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  for (const { name, value } of steps) {
    if (value !== undefined) await add(config, name, value, true)
    else await removeUser(config, name, false).catch(() => undefined)
  }
  const written = readFileSync(file, 'utf8').replace('\ufeff', '').split(/\r?\n/)
  if (written.at(-1) === '') written.pop()
  assert.equal(await linesOf(config, file), written.length)
  const map = openMapInForce(config)
  for (const [index, line] of written.entries()) {
    const [key = ''] = line.split(/\s/)
    if (key.includes('@')) assert.equal(map.place(key, 'user_map')?.line, index + 1, line)
  }
  map.close()
}

test('after any changes the lines are known, and each line of a user is where it is said to be', async () => {
  await fc.assert(fc.asyncProperty(startOf, fc.array(step, { maxLength: 6 }), changeAndCheck), {
    numRuns: 25,
  })
})

test('a line that was written by hand after a build or a change is found', async () => {
  using dir = tempDir()
  const file = dir.join('user_map')
  writeFileSync(file, 'ann@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  appendFileSync(file, 'bob@example.com ingrid\n')
  await assert.rejects(add(config, 'bob@example.com'), isUnbuilt)
  await add(config, 'carl@example.com')
  assert.equal(await linesOf(config, file), undefined)
  await buildMap(config)
  await add(config, 'dora@example.com')
  assert.equal(await linesOf(config, file), 4)
  appendFileSync(file, 'emil@example.com ingrid\n')
  await assert.rejects(add(config, 'emil@example.com'), isUnbuilt)
})

test('a file of the same size in the place of one that is known is searched', async () => {
  using dir = tempDir()
  const file = dir.join('user_map')
  writeFileSync(file, 'ann@example.com fritz\n# x@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  writeFileSync(dir.join('new'), 'ann@example.com fritz\nbob@example.com fritz\n')
  renameSync(dir.join('new'), file)
  await assert.rejects(add(config, 'bob@example.com'), isUnbuilt)
})

test('a file that was put into a directory of sources is searched', async () => {
  using dir = tempDir()
  mkdirSync(dir.join('user_map'))
  writeFileSync(dir.join('user_map', 'b'), 'ann@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  assert.equal(await linesOf(config, dir.join('user_map', 'b')), 1)
  writeFileSync(dir.join('user_map', 'a'), 'bob@example.com fritz\n')
  await assert.rejects(add(config, 'bob@example.com'), isUnbuilt)
  await add(config, 'carl@example.com')
})

test('after a rollback the sources hold what the map does not know, and are searched', async () => {
  using dir = tempDir()
  const file = dir.join('user_map')
  writeFileSync(file, 'ann@example.com fritz\n')
  const config = configOf(dir.path, dir.join('map.db'))
  const { generation } = await buildMap(config)
  appendFileSync(file, 'bob@example.com ingrid\n')
  await buildMap(config)
  await rollBack(config, generation)
  assert.equal(await linesOf(config, file), undefined)
  await assert.rejects(add(config, 'bob@example.com'), isUnbuilt)
})
