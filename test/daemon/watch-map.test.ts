import assert from 'node:assert/strict'
import {
  appendFileSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { test } from 'node:test'
import type { HistoryRow } from '../../src/map/state/state.ts'
import { runCommand } from '../support/command.ts'
import { startDaemon, writeConfig } from '../support/daemon.ts'
import { MapWatch } from '../support/map-watch.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const backends = `backends:
  fritz: {host: 127.0.0.1, smtp: 25, imap: 143}
  ingrid: {host: 127.0.0.2, smtp: 25, imap: 143}
`
const config = `hostname: mx.example.com
domains: [example.com]
${backends}map: {user_map: user_map, aliases: aliases, rules: rules}
listen: {imap: ["127.0.0.1:0"]}
workers: 1
`

function writeSite(dir: TempDir): string {
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  mkdirSync(dir.join('aliases'))
  writeFileSync(dir.join('members'), 'ann\n')
  writeFileSync(dir.join('aliases/10-main'), `staff: :include:${dir.join('members')}\n`)
  writeFileSync(dir.join('rules'), '*  ingrid\n')
  return writeConfig(dir, config)
}

async function lookUp(file: string, address: string, ...flags: string[]): Promise<string> {
  const { stdout } = await runCommand(['lookup', address, ...flags, '--config', file])
  return stdout.trim()
}

async function kindsOf(file: string): Promise<string[]> {
  const { stdout } = await runCommand(['map', 'history', '--json', '--config', file])
  const { generations } = JSON.parse(stdout) as { generations: HistoryRow[] }
  return generations
    .toSorted((one, other) => one.generation - other.generation)
    .map(({ kind }) => kind)
}

test('it builds at once, and again whenever a source, a list in it or the config changes', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  await using watched = new MapWatch(file)
  const first = await watched.next()
  assert.deepEqual([first.generation, first.users, first.unchanged], [1, 1, false])

  const changes: Readonly<Record<string, () => void>> = {
    'a file in place': () => appendFileSync(dir.join('user_map'), 'carl@example.com fritz\n'),
    'another file of the name': () => {
      writeFileSync(dir.join('user_map.new'), 'ann@example.com fritz\nzoe@example.com fritz\n')
      renameSync(dir.join('user_map.new'), dir.join('user_map'))
    },
    'an included file': () => writeFileSync(dir.join('members'), 'ann\nzoe\n'),
    'one more file in a directory': () => writeFileSync(dir.join('aliases/20-more'), 'info: ann\n'),
    'the config': () =>
      writeConfig(dir, config.replace('[example.com]', '[example.com, example.net]')),
  }
  let generation = 1
  for (const [what, change] of Object.entries(changes)) {
    change()
    const built = await watched.next()
    assert.deepEqual(
      [built.generation, built.unchanged, built.error],
      [++generation, false, undefined],
      what,
    )
  }
  assert.match(await lookUp(file, 'staff'), /ann@example\.com at fritz, zoe@example\.com at fritz/)
  assert.equal(watched.stderr.includes('error'), false, watched.stderr)
})

test('a build with errors tells them and leaves the map in force, until the source is mended', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  await using watched = new MapWatch(file)
  await watched.next()
  writeFileSync(dir.join('user_map'), 'ann@example.com nowhere\n')
  const failed = await watched.next()
  assert.equal(failed.error?.code, 'MAP_INVALID')
  assert.match(failed.error?.problems?.[0]?.message ?? '', /nowhere/)
  assert.equal(await lookUp(file, 'ann'), 'ann: fritz')

  writeFileSync(dir.join('user_map'), 'ann@example.com ingrid\nzoe@example.com fritz\n')
  assert.equal((await watched.next()).users, 2)
  writeConfig(dir, config.replace('domains:', 'domain:'))
  assert.equal((await watched.next()).error?.code, 'CONFIG_INVALID')
  assert.equal(await lookUp(file, 'ann', '--retrieval'), '')
  writeConfig(dir, config)
  const mended = await watched.next()
  assert.deepEqual([mended.generation, mended.unchanged], [2, true], 'nothing was published')
})

test('a source that goes and comes back, and a directory that is replaced, are built again', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  await using watched = new MapWatch(file)
  await watched.next()
  rmSync(dir.join('user_map'))
  assert.equal((await watched.next()).error?.code, 'MAP_SOURCE_UNREADABLE')
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  assert.equal((await watched.next()).unchanged, true)

  mkdirSync(dir.join('new'))
  writeFileSync(dir.join('new/10-main'), 'staff: ann\ninfo: ann\n')
  renameSync(dir.join('aliases'), dir.join('old'))
  renameSync(dir.join('new'), dir.join('aliases'))
  assert.equal((await watched.next(({ error }) => error === undefined)).aliases, 2)
  appendFileSync(dir.join('aliases/10-main'), 'sales: ann\n')
  assert.equal((await watched.next()).aliases, 3)
})

test('changes of the map by commands make it build nothing, and what people edit after them does', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  await using watched = new MapWatch(file)
  await watched.next()
  const names = ['bea', 'carl', 'dora', 'emil', 'frida', 'gerd']
  for (const name of names) {
    const added = await runCommand(['user', 'add', name, 'fritz', '--config', file])
    assert.equal(added.code, 0, added.stderr)
  }
  const changed = await runCommand(['alias', 'add', 'all', 'bea', 'carl', '--config', file])
  assert.equal(changed.code, 0, changed.stderr)
  appendFileSync(dir.join('user_map'), '# by hand\n')
  const built = await watched.next()
  assert.equal(built.users, 7)
  assert.deepEqual(await kindsOf(file), ['build', ...Array(7).fill('change'), 'build'])
  const check = await runCommand(['build-map', '--check', '--config', file])
  assert.equal(check.code, 0, check.stderr)
})

test('a build by hand beside it is no reason to publish again', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  assert.equal((await runCommand(['build-map', '--config', file])).code, 0)
  await using watched = new MapWatch(file)
  const first = await watched.next()
  assert.deepEqual([first.generation, first.unchanged], [1, true])
  assert.deepEqual(await kindsOf(file), ['build'])
})

test('the daemon takes each new map, and one that cannot is told of', async () => {
  using dir = tempDir()
  const file = writeSite(dir)
  assert.equal((await runCommand(['build-map', '--config', file])).code, 0)
  await using daemon = await startDaemon({ dir, config })
  await using watched = new MapWatch(file)
  assert.equal((await watched.next()).reload?.generation, 1)
  writeFileSync(dir.join('user_map'), 'ann@example.com ingrid\n')
  assert.equal((await watched.next()).reload?.generation, 2)
  await daemon.waitFor('reload.done', 2)

  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  writeConfig(dir, `${config}tls: {certificates: [{cert: none.pem, key: none.pem}]}\n`)
  const refused = await watched.next(({ reloadError }) => reloadError !== undefined)
  assert.deepEqual([refused.reloadError?.code, refused.generation], ['RELOAD_REFUSED', 3])
  writeConfig(dir, config)
  const taken = await watched.next()
  assert.deepEqual([taken.unchanged, taken.reload?.generation], [true, 3], 'what it owes, it tells')
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} ends it with exit status 0, waiting or in the middle of a build`, async () => {
    using dir = tempDir()
    const file = writeSite(dir)
    await using waiting = new MapWatch(file)
    await waiting.next()
    waiting.signal(signal)
    assert.equal(await waiting.ended, 0, waiting.stderr)

    const lines = Array.from(
      { length: 400_000 },
      (_, number) => `user${number}@example.com fritz\n`,
    )
    writeFileSync(dir.join('user_map'), lines.join(''))
    const isWriting = Promise.withResolvers<void>()
    using _watcher = disposable(
      watch(dir.join('state'), (_, name) => {
        if (name?.endsWith('.tmp') === true) isWriting.resolve()
      }),
    )
    await using building = new MapWatch(file)
    await isWriting.promise
    building.signal(signal)
    assert.equal(await building.ended, 0, building.stderr)
    const left = readdirSync(dir.join('state')).filter((name) => name.endsWith('.tmp'))
    assert.deepEqual(left, [])
    assert.equal(
      await lookUp(file, 'ann'),
      building.builds.length === 0 ? 'ann: fritz' : 'ann: ingrid',
    )
  })
}

function disposable(watcher: ReturnType<typeof watch>): Disposable {
  return { [Symbol.dispose]: () => watcher.close() }
}

test('a config that is wrong at the start ends it as it ends any command', async () => {
  using dir = tempDir()
  const file = writeConfig(dir, 'hostname: mx.example.com\n')
  const ended = await runCommand(['build-map', '--watch', '--config', file])
  assert.equal(ended.code, 78)
  assert.match(ended.stderr, /backends is missing/)
})
