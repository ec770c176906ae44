import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { buildMap } from '../../../src/map/build.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { applyChange } from '../../../src/map/state/apply-change.ts'
import { planSplices } from '../../../src/map/state/source-edit.ts'
import { InterruptedDisk } from '../../support/interrupted-disk.ts'
import {
  answerOf,
  answersOf,
  buildSample,
  planAll,
  sampleAfter,
  sampleBefore,
  sources,
} from '../../support/sample-change.ts'
import { tempDir } from '../../support/temp-dir.ts'

const killedChange = fileURLToPath(new URL('../../support/killed-change.ts', import.meta.url))
const { answers: old } = sampleBefore
const { answers: changed } = sampleAfter
const changedUsers = sampleAfter.texts.user_map

test('a change is in the sources and in every answer, and a build takes it over', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  assert.deepEqual(answersOf(config), old)
  const map = openMapInForce(config)
  assert.equal(map.generation, 1)
  assert.equal(await applyChange(config, async () => planAll(dir.path)), 2)
  assert.equal(map.generation, 2, 'a reader that was open sees it')
  assert.equal(map.changedIn('bob@example.com'), 2)
  map.close()
  assert.deepEqual(answersOf(config), changed)
  assert.equal(readFileSync(dir.join('user_map'), 'utf8'), changedUsers)
  assert.equal((await buildMap(config)).generation, 3)
  assert.deepEqual(answersOf(config), changed)
  const after = openMapInForce(config)
  assert.equal(after.changedIn('bob@example.com'), undefined, 'the build says it now')
  after.close()
})

test('owner, mode and links of a source stay as they were', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  writeFileSync(dir.join('real'), sources.user_map)
  chmodSync(dir.join('real'), 0o664)
  const linked = dir.join('linked')
  symlinkSync('real', linked)
  const content = readFileSync(linked)
  const splices = [{ at: 0, removeBytes: 1, insert: Buffer.from('##') }]
  await applyChange(config, async () => {
    const edits = [planSplices(linked, content, splices)]
    return { description: 'comment', edits, overrides: [] }
  })
  assert.equal(readFileSync(dir.join('real'), 'utf8'), `#${sources.user_map}`)
  assert.equal(statSync(dir.join('real')).mode & 0o777, 0o664)
})

test('a source that was edited meanwhile is left alone, and nothing is in force', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  const planned = readFileSync(dir.join('user_map'))
  const edited = `${sources.user_map}eve@example.com fritz\n`
  writeFileSync(dir.join('user_map'), edited)
  const changing = applyChange(config, async () => planAll(dir.path, planned))
  await assert.rejects(changing, { code: 'MAP_SOURCE_CHANGED' })
  assert.equal(readFileSync(dir.join('user_map'), 'utf8'), edited)
  assert.deepEqual(answersOf(config), old)
  assert.equal(await applyChange(config, async () => planAll(dir.path)), 2, 'and the next works')
})

test('whichever call of an append or of a replacement fails, all is as it was, and works after', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  for (let failAt = 1, failed = true; failed; failAt++) {
    const disk = new InterruptedDisk(failAt, 'fails')
    failed = await applyChange(config, async () => planAll(dir.path), { disk }).then(
      () => false,
      (error: { code?: string }) => {
        assert.equal(error.code, 'MAP_SOURCE_UNWRITABLE')
        return true
      },
    )
    if (failed) {
      assert.deepEqual(answersOf(config), old, `call ${failAt}`)
      for (const [name, text] of Object.entries(sources)) {
        assert.equal(readFileSync(dir.join(name), 'utf8'), text, `call ${failAt}`)
      }
    }
    assert.ok(failAt < 100)
  }
  assert.deepEqual(answersOf(config), changed)
})

test('what a broken disk leaves is said, and completed when the disk is mended', async () => {
  const codes = new Set<string>()
  for (let failAt = 1, failed = true; failed; failAt++) {
    using dir = tempDir()
    const config = await buildSample(dir.path)
    const disk = new InterruptedDisk(failAt, 'is broken')
    let code = ''
    await applyChange(config, async () => planAll(dir.path), { disk }).catch(
      (error: { code: string }) => {
        code = error.code
      },
    )
    codes.add(code)
    failed = code !== ''
    assert.deepEqual(answersOf(config), failed ? old : changed, `call ${failAt}`)
    await applyChange(config, () => Promise.resolve(undefined))
    const isCompleted = code !== 'MAP_SOURCE_UNWRITABLE'
    assert.deepEqual(answersOf(config), isCompleted ? changed : old, `call ${failAt}`)
    const users = readFileSync(dir.join('user_map'), 'utf8')
    assert.equal(users, isCompleted ? changedUsers : sources.user_map, `call ${failAt}`)
  }
  assert.deepEqual([...codes], ['MAP_SOURCE_UNWRITABLE', 'MAP_CHANGE_UNFINISHED', ''])
})

test('a source that is gone since does not keep the next commands from their work', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  const child = spawn(process.execPath, [killedChange, dir.path, '3'], { stdio: 'inherit' })
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
  rmSync(dir.join('user_map'))
  const warnings: string[] = []
  await applyChange(config, () => Promise.resolve(undefined), {
    warn: (text) => warnings.push(text),
  })
  assert.equal(warnings.length, 1)
  assert.match(
    warnings[0] ?? '',
    /“three things at once”, and its source was edited since, or is gone/,
  )
  assert.deepEqual(answersOf(config), old)
})

test('a state database that does not know the build in force is told of', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  for (const more of ['', '-wal', '-shm']) rmSync(dir.join(`state.db${more}`), { force: true })
  const warnings: string[] = []
  const warn = (text: string): void => void warnings.push(text)
  assert.equal(await applyChange(config, async () => planAll(dir.path), { warn }), 2)
  assert.match(warnings.join(), /state\.db does not know generation 1, .*`mailmux build-map`/)
})

test('a command that is killed is completed by the next one, wherever it was', async () => {
  for (let killAt = 1, killed = true; killed; killAt++) {
    using dir = tempDir()
    const config = await buildSample(dir.path)
    const child = spawn(process.execPath, [killedChange, dir.path, String(killAt)], {
      stdio: 'inherit',
    })
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null]
    killed = signal === 'SIGKILL'
    assert.deepEqual(answersOf(config), killed ? old : changed, `call ${killAt}`)
    const generation = await applyChange(config, () => Promise.resolve(undefined))
    assert.equal(generation, undefined)
    assert.deepEqual(answersOf(config), changed, `after repair of call ${killAt}`)
    assert.equal(readFileSync(dir.join('user_map'), 'utf8'), changedUsers)
    assert.equal(readFileSync(dir.join('aliases'), 'utf8'), '')
    assert.ok(killAt < 100)
  }
})

test('half a line at the end of a source, left by a power cut, is completed', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  const before = readFileSync(dir.join('user_map'), 'utf8')
  const child = spawn(process.execPath, [killedChange, dir.path, 'append'], { stdio: 'inherit' })
  assert.deepEqual(await once(child, 'exit'), [null, 'SIGKILL'])
  const insert = 'zoe@example.com ingrid\n'
  assert.equal(readFileSync(dir.join('user_map'), 'utf8'), `${before}${insert.slice(0, 11)}`)
  writeFileSync(dir.join('user_map'), `${before}zoe@\0\0\0`)
  await buildMap(config)
  assert.equal(readFileSync(dir.join('user_map'), 'utf8'), `${before}${insert}`)
  assert.equal(answerOf(config, 'zoe@example.com'), 'ingrid')
})

test('commands at once change the map one after the other, and who opens it never sees less', async () => {
  using dir = tempDir()
  const config = await buildSample(dir.path)
  const names = ['dora', 'emil', 'fred', 'gina']
  const children = names.map((name) =>
    spawn(process.execPath, [killedChange, dir.path, 'add', name], { stdio: 'inherit' }),
  )
  const exits = children.map((child) => once(child, 'exit'))
  const areRunning = (): boolean =>
    children.some(({ exitCode, signalCode }) => exitCode === null && signalCode === null)
  for (let seen = 1; areRunning(); await nextTurn()) {
    const map = openMapInForce(config, ({ message }) => assert.fail(message))
    assert.ok(map.generation >= seen, `${map.generation} after ${seen}`)
    seen = map.generation
    map.close()
  }
  assert.deepEqual(
    await Promise.all(exits),
    names.map(() => [0, null]),
  )
  for (const name of names) assert.equal(answerOf(config, `${name}@example.com`), 'ingrid')
  assert.equal((await buildMap(config)).generation, 6)
  for (const name of names) assert.equal(answerOf(config, `${name}@example.com`), 'ingrid')
})
