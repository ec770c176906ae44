import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { answerQuestion } from '../../src/map/answer.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { runCommand } from '../support/command.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

// In processes of their own: an open that waits would block this one for ever.
test('a database or a source that is a named pipe or a folder is refused at once', async () => {
  using dir = tempDir()
  execFileSync('mkfifo', [dir.join('pipe')])
  mkdirSync(dir.join('folder'))
  writeFileSync(dir.join('user_map'), 'nora fritz\nzed fritz\n')
  const base = readFileSync('test/maps/mailmux.yaml', 'utf8')
  const run = (map: string, command: readonly string[]) => {
    writeFileSync(dir.join('mailmux.yaml'), `${base}map: ${map}\nstate_dir: .\n`)
    return runCommand([...command, '--config', dir.join('mailmux.yaml')])
  }
  for (const database of ['pipe', 'folder']) {
    const looked = await run(`{user_map: user_map, database: ${database}}`, ['lookup', 'nora'])
    assert.equal(looked.code, 78)
    assert.match(looked.stderr, /not a regular file; run `mailmux build-map`/)
  }
  const built = await run('{user_map: user_map, database: folder}', ['build-map'])
  assert.match(built.stderr, /folder: cannot be written: /)
  const source = await run('{user_map: pipe, database: map.db}', ['build-map'])
  assert.match(source.stderr, /pipe:1:1: error: cannot be read: it is a named pipe/)
  assert.equal((await run('{user_map: user_map, database: map.db}', ['build-map'])).code, 0)
  for (const [path, ...command] of [
    ['pipe', 'user', 'add', 'ann', 'fritz'],
    ['pipe', 'user', 'remove', 'nora', '--every-domain'],
    ['/dev/zero', 'alias', 'add', 'list', 'nora'],
  ] as const) {
    const sources = `{user_map: ${path}, aliases: ${path}, database: map.db}`
    const changed = await run(sources, command)
    assert.equal(changed.code, 78, `${path} ${command.join(' ')}: ${changed.stderr}`)
    assert.match(changed.stderr, /cannot be read: .*not a regular file/)
  }
  const endless = await run('{}', ['map', 'import', 'makemap', '/dev/zero'])
  assert.equal(endless.code, 78)
  assert.match(endless.stderr, /zero: more than \d+ bytes/)
})

test('a question may be written with quotes, as an address is on the wire', async () => {
  using dir = tempDir()
  writeFileSync(dir.join('user_map'), '"two words" fritz\nnora ingrid\n')
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const map = openMap(config.map.database)
  const backends = ['"two words"@example.com', String.raw`"n\ora"@example.com`].map(
    (text) => answerQuestion({ text, direction: 'delivery' }, map, config).json.backend,
  )
  map.close()
  assert.deepEqual(backends, ['fritz', 'ingrid'])
})
