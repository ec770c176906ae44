import assert from 'node:assert/strict'
import { appendFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { runCommand } from '../support/command.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

function siteIn(dir: TempDir): string[] {
  cpSync('test/maps/mailmux.yaml', dir.join('mailmux.yaml'))
  // A few of a small site may go elsewhere, unless none may.
  const map =
    'map: {user_map: user_map, database: map.db, max_changed: 0%}\nstate_dir: .\nrun_dir: .\n'
  appendFileSync(dir.join('mailmux.yaml'), map)
  return ['--config', dir.join('mailmux.yaml')]
}

test('a map is verified and dumped, whole or one source of it', async () => {
  using dir = tempDir()
  const config = siteIn(dir)
  writeFileSync(dir.join('user_map'), '# users\nNora@example.com fritz\nmax a.b@otto\n')
  await runCommand(['build-map', ...config])
  const verified = await runCommand(['map', 'verify', ...config])
  assert.equal(verified.code, 0)
  assert.match(verified.stdout, /generation 1, 2 records, \d+ bytes: all right\n$/)
  const dumped = await runCommand(['map', 'dump', '--places', ...config])
  assert.deepEqual(dumped.stdout.replaceAll(`${dir.path}/`, '').split('\n'), [
    'user_map\tnora@example.com fritz\tuser_map:2:1',
    'user_map\tmax a.b@otto\tuser_map:3:1',
    '',
  ])
  const source = await runCommand(['map', 'dump', 'sources', '--source', 'user_map', ...config])
  assert.equal(source.stdout, 'nora@example.com fritz\nmax a.b@otto\n')
  const json = await runCommand(['map', 'dump', '--json', ...config])
  assert.deepEqual(JSON.parse(json.stdout.split('\n')[1] ?? ''), {
    source: 'user_map',
    line: 'max a.b@otto',
    key: 'max@',
    value: { kind: 'rename', backend: 'otto', login: 'a.b' },
    at: { file: dir.join('user_map'), line: 3, column: 1 },
  })
  const bytes = readFileSync(dir.join('map.db'))
  bytes[4110] = (bytes[4110] ?? 0) ^ 1
  writeFileSync(dir.join('map.db'), bytes)
  const damaged = await runCommand(['map', 'verify', ...config])
  assert.equal(damaged.code, 78)
  assert.match(damaged.stderr, /map\.db: the checksum of the block at byte 4096 is wrong\n/)
})

test('a build that sends everybody elsewhere is refused, shown, forced and taken back', async () => {
  using dir = tempDir()
  const config = siteIn(dir)
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\nbob@example.com otto\n')
  assert.equal((await runCommand(['build-map', ...config])).code, 0)
  writeFileSync(dir.join('user_map'), 'ann@example.com ingrid\nbob@example.com paul\n')

  const refused = await runCommand(['build-map', ...config])
  assert.equal(refused.code, 78)
  assert.match(refused.stderr, /2 of 2 users would be sent elsewhere or vanish \(100%\)/)
  const json = await runCommand(['build-map', '--json', ...config])
  assert.equal(
    (JSON.parse(json.stdout) as { error: { code: string } }).error.code,
    'MAP_MAX_CHANGED',
  )

  const checked = await runCommand(['build-map', '--check', '--diff', ...config])
  assert.equal(checked.code, 78)
  const expected = [
    '~ user ann@example.com: fritz → ingrid',
    '~ user bob@example.com: otto → paul',
    'fritz → ingrid: 1',
    'otto → paul: 1',
    '2 users sent elsewhere, 0 new, 0 gone; 0 aliases and 0 rules or settings changed',
  ]
  assert.deepEqual(checked.stdout.split('\n').slice(0, 5), expected)
  const diff = await runCommand(['map', 'diff', ...config])
  assert.deepEqual([diff.code, diff.stdout.split('\n').slice(0, 5)], [1, expected])

  assert.equal((await runCommand(['build-map', '--force', ...config])).code, 0)
  assert.equal((await runCommand(['map', 'diff', ...config])).code, 0)
  const lines = (await runCommand(['map', 'diff', '1', '2', '--json', ...config])).stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  assert.deepEqual(lines[0], {
    kind: 'user',
    key: 'ann@example.com',
    change: 'rerouted',
    delivery: { from: 'fritz', to: 'ingrid', fromBackend: 'fritz', toBackend: 'ingrid' },
    retrieval: { from: 'fritz', to: 'ingrid', fromBackend: 'fritz', toBackend: 'ingrid' },
  })
  assert.deepEqual(lines[2], {
    summary: {
      users: 2,
      rerouted: 2,
      added: 0,
      removed: 0,
      aliases: 0,
      settings: 0,
      groups: [
        { direction: 'both', from: 'fritz', to: 'ingrid', count: 1 },
        { direction: 'both', from: 'otto', to: 'paul', count: 1 },
      ],
    },
  })

  const asked = await runCommand(['map', 'rollback', '1', ...config])
  assert.equal(asked.code, 2)
  assert.match(asked.stdout, /ingrid → fritz: 1/)
  const done = await runCommand(['map', 'rollback', '1', '--yes', ...config])
  assert.equal(done.code, 0, done.stderr)
  assert.match(done.stdout, /generation 3 is what 1 was; 2 users, 0 aliases\nthe sources say/)
  assert.equal((await runCommand(['lookup', 'ann', ...config])).stdout, 'ann: fritz\n')

  const history = await runCommand(['map', 'history', ...config])
  const rows = history.stdout
    .trimEnd()
    .split('\n')
    .map((row) => row.trim().split(/ {2,}/))
  assert.deepEqual(
    rows.map((row) => [row[0], row[2], row.at(-1)]),
    [
      ['generation', 'what', 'aliases'],
      ['1', 'build-map', 'kept'],
      ['2', 'build-map', 'kept'],
      ['3', 'map rollback 1', 'in force'],
    ],
  )
  const { generations } = JSON.parse(
    (await runCommand(['map', 'history', '--json', ...config])).stdout,
  ) as { generations: Record<string, unknown>[] }
  assert.deepEqual(Object.keys(generations[2] ?? {}), [
    'generation',
    'at',
    'kind',
    'description',
    'by',
    'users',
    'aliases',
    'kept',
    'inForce',
  ])
  for (const text of ['0', 'x', '-1', '1.5']) {
    const wrong = await runCommand(['map', 'rollback', '--yes', ...config, '--', text])
    assert.equal(wrong.code, 2, wrong.stderr)
    assert.match(wrong.stderr, /is no generation/)
  }
  const unknown = await runCommand(['map', 'rollback', '77', '--yes', ...config])
  assert.equal(unknown.code, 78)
})
