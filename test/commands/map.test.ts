import assert from 'node:assert/strict'
import { appendFileSync, cpSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { ErrorJson } from '../../src/base/error-json.ts'
import type { CheckReport } from '../../src/map/check-map.ts'
import { runCommand } from '../support/command.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

/** The sources of a case with a config of their own, and the flag that names it. */
function mapIn(dir: TempDir, name: string): string[] {
  cpSync(`test/maps/${name}`, dir.path, { recursive: true })
  const sources = ['aliases', 'user_map']
  const map = sources.map((source) => `${source}: ${source}`).join(', ')
  cpSync('test/maps/mailmux.yaml', dir.join('mailmux.yaml'))
  appendFileSync(dir.join('mailmux.yaml'), `map: {${map}, database: map.db}\nstate_dir: .\n`)
  return ['--config', dir.join('mailmux.yaml')]
}

test('build-map compiles, lookup answers, explain names the lines', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  const missing = await runCommand(['lookup', 'nora', ...config])
  assert.equal(missing.code, 78)
  assert.match(missing.stderr, /there is no map database; run `mailmux build-map`/)

  const build = await runCommand(['build-map', ...config])
  assert.equal(build.code, 0, build.stderr)
  assert.match(build.stdout, /generation 1; 9 users, 24 aliases, 0 rules/)
  assert.match(build.stderr, /aliases:27:13: warning: mail for gone is refused/)

  const route = await runCommand(['lookup', 'Nora+x@example.com', ...config])
  assert.deepEqual([route.code, route.stdout], [0, 'Nora+x@example.com: fritz\n'])

  const explained = await runCommand(['explain', 'postmaster', ...config])
  assert.equal(explained.code, 0)
  const lines = explained.stdout.split('\n')
  assert.ok(lines.some((line) => /aliases +postmaster +root +\S*\/aliases:2:1$/.test(line)))
  assert.ok(
    lines.some((line) => /user_map +nora@example.com +fritz +\S*\/user_map:1:1$/.test(line)),
  )
  assert.match(explained.stdout, /^retrieval of postmaster/m)
  const nora = await runCommand(['explain', 'nora', ...config])
  assert.match(nora.stdout, /→ fritz\n {4}smtp: fritz fritz\.example\.org:25$/m)
  assert.match(
    nora.stdout,
    /imap: fritz \S+:143\n {4}pop3: fritz \S+:110\n {4}sieve: fritz \S+:4190\n {4}submission: fritz \S+:587$/m,
  )
})

test('lookup streams stdin, prints an object a line, and tells by its exit status', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  await runCommand(['build-map', ...config])
  const input = `${Array.from({ length: 5000 }, () => 'nora').join('\n')}\n\nstaff\n`
  const stream = await runCommand(['lookup', '--json', '-', ...config], { input })
  assert.equal(stream.code, 0, stream.stderr)
  const objects = stream.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  assert.equal(objects.length, 5001)
  assert.deepEqual(objects[0], {
    address: 'nora',
    direction: 'delivery',
    generation: 1,
    result: 'route',
    user: 'nora@example.com',
    backend: 'fritz',
    login: 'nora@example.com',
    host: 'fritz.example.org',
    port: 25,
  })
  assert.deepEqual(objects[5000], {
    address: 'staff',
    direction: 'delivery',
    generation: 1,
    result: 'expand',
    user: 'staff@example.com',
    targets: [
      'nora@example.com',
      'max@example.com',
      '"two words"@example.com',
      'li.wei@b.example.org',
    ],
  })
  const nobody = await runCommand(['lookup', 'nora', 'nobody', '--retrieval', ...config])
  assert.deepEqual([nobody.code, nobody.stdout], [67, 'nora: fritz\nnobody: nobody of that name\n'])
  const later = await runCommand(['lookup', 'later', 'nobody', ...config])
  assert.equal(later.code, 75)
})

test('errors stop the build with every place, for a person and for a script', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  await runCommand(['build-map', ...config])
  writeFileSync(dir.join('user_map'), 'nora fritzz\nmax ingrid\nann@example.com ingrd\n')
  const build = await runCommand(['build-map', ...config])
  assert.equal(build.code, 78)
  assert.match(build.stderr, /user_map:1:6: error: .*; did you mean fritz\?/)
  assert.match(build.stderr, /user_map:3:17: error: .*; did you mean ingrid\?/)
  assert.match(build.stderr, /the old database stays in force/)
  const json = await runCommand(['build-map', '--json', ...config])
  assert.equal(json.code, 78)
  const { error } = JSON.parse(json.stdout) as { error: { code: string; problems: unknown[] } }
  assert.equal(error.code, 'MAP_INVALID')
  assert.ok(error.problems.length >= 2)
  assert.equal((await runCommand(['lookup', 'nora', ...config])).stdout, 'nora: fritz\n')
})

test('build-map --check tells whether the database is what the sources say', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  await runCommand(['build-map', ...config])
  assert.equal((await runCommand(['build-map', '--check', ...config])).code, 0)
  assert.equal((await runCommand(['build-map', '--strict', ...config])).code, 78)
  appendFileSync(dir.join('user_map'), 'new@example.com fritz\n')
  const differs = await runCommand(['build-map', '--check', ...config])
  assert.equal(differs.code, 78)
  assert.match(differs.stderr, /the sources say something else than generation 1/)
  assert.equal((await runCommand(['lookup', 'new', ...config])).code, 67)
  const json = await runCommand(['build-map', '--check', '--json', ...config])
  assert.equal(json.code, 78)
  const { error, equal, difference } = JSON.parse(json.stdout) as CheckReport & ErrorJson
  assert.deepEqual([error.code, equal, difference.added], ['MAP_OUT_OF_DATE', false, 1])
})

test('an answer that may be old is given with the reason, and ends with 75', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  await runCommand(['build-map', ...config])
  writeFileSync(dir.join('state.db'), 'no database at all'.repeat(300))
  const { code, stdout, stderr } = await runCommand(['lookup', 'nora', ...config])
  assert.deepEqual([code, stdout], [75, 'nora: fritz\n'])
  assert.match(stderr, /^warning: .*state\.db/)
})

test('build-map says how a running daemon takes a map that has changed', async () => {
  using dir = tempDir()
  const config = mapIn(dir, 'aliases')
  appendFileSync(dir.join('mailmux.yaml'), 'run_dir: .\n')
  writeFileSync(dir.join('control.sock'), '')
  assert.match(
    (await runCommand(['build-map', ...config])).stdout,
    /`mailmux reload` makes it take/,
  )
  assert.doesNotMatch((await runCommand(['build-map', ...config])).stdout, /reload/)
})
