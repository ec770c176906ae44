import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import type { Problem } from '../../src/base/problem.ts'
import { parseAddress } from '../../src/mail/address.ts'
import type { Resolution } from '../../src/mail/route.ts'
import { buildMap } from '../../src/map/build.ts'
import { openMap } from '../../src/map/open.ts'
import { MapProblems } from '../../src/map/problems.ts'
import { configOf } from '../support/map-case.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

type Sources = Readonly<Record<string, string | Buffer>>

function write(dir: TempDir, sources: Sources): void {
  for (const [name, content] of Object.entries(sources)) writeFileSync(dir.join(name), content)
}

async function problemsOf(dir: TempDir, sources: Sources): Promise<readonly Problem[]> {
  write(dir, sources)
  try {
    return (await buildMap(configOf(dir.path, dir.join('map.db')))).warnings
  } catch (error) {
    if (error instanceof MapProblems) return error.problems
    throw error
  }
}

/** `code line:column` of each finding. */
function inShort(problems: readonly Problem[]): string[] {
  return problems.map(({ code, at }) => `${code} ${at.line}:${at.column}`)
}

async function resolveIn(dir: TempDir, sources: Sources, text: string): Promise<Resolution> {
  write(dir, sources)
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  const address = parseAddress(text, config.naming)
  assert.ok(address)
  const map = openMap(config.map.database)
  try {
    return map.resolve('delivery', address, config.naming)
  } finally {
    map.close()
  }
}

const rules = '* fritz\n'

test('CRLF, a byte order mark and a last line without an end are accepted', async () => {
  using dir = tempDir()
  const userMap = '\ufeffnora@example.com fritz\r\n\r\n# comment\r\nann@example.com ingrid'
  const aliases = '\ufeffroot: nora,\r\n  ann\r\n'
  const ann = await resolveIn(dir, { user_map: userMap, aliases }, 'ann@example.com')
  assert.equal(ann.result === 'route' && ann.destination.backend, 'ingrid')
  const root = await resolveIn(dir, {}, 'root@example.com')
  assert.equal(root.result === 'expand' && root.destinations.length, 2)
})

const refused: readonly [title: string, sources: Sources, found: readonly string[]][] = [
  [
    'a NUL byte',
    { user_map: 'nora@example.com fritz\n\nann\0@example.com fritz\n' },
    ['binary 3:1'],
  ],
  ['UTF-16', { user_map: Buffer.from('\ufeffnora fritz\n', 'utf16le') }, ['binary 1:1']],
  [
    'Latin-1',
    { user_map: Buffer.from('nora fritz\njos\u00e9 fritz\n', 'latin1') },
    ['not-utf8 2:4'],
  ],
  ['Latin-1 in aliases', { aliases: Buffer.from('jos\u00e9: x\n', 'latin1') }, ['not-utf8 1:4']],
  ['nothing at all', { user_map: '' }, ['empty-map 1:1', 'empty-source 1:1']],
  ['comments only', { user_map: '# none\n\n' }, ['empty-map 1:1']],
  ['a key of 1 MB', { user_map: `${'a'.repeat(1_000_000)} fritz\n` }, ['bad-key 1:1']],
  ['a value of 1 MB', { user_map: `nora ${'a'.repeat(1_000_000)}\n` }, ['unknown-backend 1:6']],
  [
    'a line of 3 MB, and errors around it',
    { user_map: `nora x\n${'a'.repeat(3_000_000)} fritz\nann y\n` },
    ['unknown-backend 1:6', 'line-too-long 2:1', 'unknown-backend 3:5'],
  ],
  ['a control character', { user_map: 'no\x01ra fritz\n' }, ['bad-key 1:1']],
]

for (const [title, sources, found] of refused) {
  test(`${title} is reported with its place`, async () => {
    using dir = tempDir()
    assert.deepEqual(inShort(await problemsOf(dir, sources)), found)
  })
}

test('lines that are long but not too long are read where chunks meet', async () => {
  using dir = tempDir()
  const filler = `# ${'x'.repeat(700_000)}\n`.repeat(5)
  const users = Array.from({ length: 60_000 }, (_, number) => `user${number} fritz\n`).join('')
  const found = await resolveIn(
    dir,
    { user_map: `${filler}${users}last ingrid\n${filler}` },
    'last',
  )
  assert.equal(found.result === 'route' && found.destination.backend, 'ingrid')
  const config = configOf(dir.path, dir.join('map.db'))
  const map = openMap(config.map.database)
  assert.equal(map.place('last@', 'user_map')?.line, 60_006)
  assert.equal(map.place('user59999@', 'user_map')?.line, 60_005)
  map.close()
})

test('a source that is not there is reported, with those that are', async () => {
  using dir = tempDir()
  write(dir, { user_map: 'nora nobody\n' })
  const config = configOf(dir.path, dir.join('map.db'))
  const map = { ...config.map, popmap: dir.join('none') }
  await assert.rejects(buildMap({ ...config, map }), (error) => {
    assert.ok(error instanceof MapProblems)
    assert.deepEqual(error.problems.map(({ code }) => code).sort(), [
      'unknown-backend',
      'unreadable',
    ])
    return error.code === 'MAP_INVALID'
  })
  await assert.rejects(buildMap({ ...config, map: { ...map, userMap: undefined } }), {
    code: 'MAP_SOURCE_UNREADABLE',
  })
})

test('a folder is read file by file in name order, without hidden and backup files', async () => {
  using dir = tempDir()
  mkdirSync(dir.join('rules'))
  mkdirSync(dir.join('rules/nested'))
  write(dir, {
    'rules/20-all': '* ingrid\n',
    'rules/10-some': 'a-m fritz\n',
    'rules/.hidden': 'garbage\n',
    'rules/10-some~': 'garbage\n',
  })
  const ann = await resolveIn(dir, {}, 'ann')
  assert.equal(ann.result === 'route' && ann.destination.backend, 'fritz')
  const zoe = await resolveIn(dir, {}, 'zoe')
  assert.equal(zoe.result === 'route' && zoe.destination.backend, 'ingrid')
})

test('findings without end are counted, and the first of each severity are shown', async () => {
  using dir = tempDir()
  const wrong = Array.from({ length: 5000 }, (_, number) => `user${number} nowhere\n`).join('')
  const twice = 'nora fritz\n'.repeat(3001)
  write(dir, { user_map: wrong + twice })
  await assert.rejects(buildMap(configOf(dir.path, dir.join('map.db'))), (error) => {
    assert.ok(error instanceof MapProblems)
    assert.deepEqual([error.errors, error.warnings], [5000, 3000])
    assert.equal(error.problems.length, 200)
    assert.deepEqual(inShort(error.problems).slice(0, 2), [
      'unknown-backend 1:7',
      'unknown-backend 2:7',
    ])
    return error.message.includes('5000 errors, 3000 warnings; the first 200 shown')
  })
})

function listOf(count: number): string {
  return `list: ${Array.from({ length: count }, (_, number) => `user${number}`).join(', ')}\n`
}

test('an alias leads to a thousand addresses, and to no more', async () => {
  using dir = tempDir()
  const found = await resolveIn(dir, { rules, aliases: listOf(1000) }, 'list')
  assert.equal(found.result === 'expand' && found.destinations.length, 1000)
  assert.deepEqual(inShort(await problemsOf(dir, { rules, aliases: listOf(1001) })), [
    'alias-too-big 1:1',
  ])
})

/** Ten aliases that each name all ten of the next level. */
function bombLevel(number: number): string {
  const members = Array.from({ length: 10 }, (_, member) => `l${number + 1}m${member}`).join(', ')
  return Array.from({ length: 10 }, (_, member) => `l${number}m${member}: ${members}\n`).join('')
}

test('an expansion bomb is refused by its depth, at once', async () => {
  using dir = tempDir()
  const aliases = Array.from({ length: 20 }, (_, number) => bombLevel(number)).join('')
  const codes = new Set((await problemsOf(dir, { rules, aliases })).map(({ code }) => code))
  assert.deepEqual([...codes], ['alias-too-deep'])
})

test('no expression of a rule can stall a lookup, whatever the address', async () => {
  using dir = tempDir()
  const hostile = String.raw`/^(a+)+$/ ingrid
/(x+x+)+y/ ingrid
/(a|aa)*b$/ ingrid
* fritz
`
  const started = performance.now()
  const found = await resolveIn(dir, { rules: hostile }, `${'a'.repeat(65_536)}@example.com`)
  assert.equal(found.result, 'route')
  // A backtracking engine would be busy for longer than the universe is old.
  assert.ok(performance.now() - started < 5000)
})

test('files that include each other end with an error', async () => {
  using dir = tempDir()
  const found = await problemsOf(dir, {
    rules,
    aliases: 'list: :include:one\n',
    one: ':include:two\n',
    two: 'nora\n:include:one\n',
  })
  assert.deepEqual(inShort(found), ['include-depth 2:1'])
})

function many(name: string): string {
  return Array.from({ length: 20 }, () => `:include:${name}`).join()
}

test('a file that is included many times is read once, and its targets stand where it is named', async () => {
  using dir = tempDir()
  const files = {
    user_map: 'nora fritz\nzed ingrid\nmax ingrid\n',
    aliases: `list: zed, ${many('f1')}, max\n`,
    ...Object.fromEntries(
      [1, 2, 3, 4, 5, 6, 7].map((one) => [`f${one}`, `${many(`f${one + 1}`)}\n`] as const),
    ),
    f8: 'nora\n',
  }
  const found = await resolveIn(dir, files, 'list@example.com')
  assert.equal(found.result, 'expand')
  assert.deepEqual(
    found.destinations.map(({ login }) => login),
    ['zed@example.com', 'nora@example.com', 'max@example.com'],
  )
})
