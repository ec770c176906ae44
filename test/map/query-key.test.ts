import assert from 'node:assert/strict'
import { cpSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Config } from '../../src/config/config.ts'
import { parseConfig } from '../../src/config/parse.ts'
import { answerQuestion } from '../../src/map/answer.ts'
import { buildMap } from '../../src/map/build.ts'
import { checkMap } from '../../src/map/check-map.ts'
import { addUser } from '../../src/map/edit/add-user.ts'
import { removeUser } from '../../src/map/edit/change-user.ts'
import { explain } from '../../src/map/explain.ts'
import { describeNote, importMap } from '../../src/map/formats/import-map.ts'
import { listUsers, showUser } from '../../src/map/listing.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { builtFrom, exported, formatOf } from '../support/exported-map.ts'
import { configOf } from '../support/map-case.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

const site = readFileSync('test/maps/query-keys/mailmux.yaml', 'utf8')

async function buildSite(dir: TempDir): Promise<Config> {
  cpSync('test/maps/query-keys', dir.path, { recursive: true })
  const config = configOf(dir.path, dir.join('map.db'))
  await buildMap(config)
  return config
}

const refused: Readonly<Record<string, RegExp>> = {
  '': /is missing|must|fewer|shorter|characters/,
  '\\u,,\\d': /a template is empty/,
  '\\u@\\x': /\\x stands for nothing/,
  '\\I': /\\I is an address or a port: where a login goes depends on its name alone/,
  '\\u\\p': /\\p is an address or a port/,
  'a\\': /\\ stands for nothing/,
}

for (const [text, message] of Object.entries(refused)) {
  test(`the config refuses query_key '${text}' with its place`, () => {
    const parsed = parseConfig(site.replace(/'.*'/, `'${text.replaceAll('$', '$$$$')}'`), '/m.yaml')
    assert.ok('problems' in parsed)
    const [problem] = parsed.problems
    assert.match(problem?.message ?? '', message)
    assert.deepEqual([problem?.at.line, (problem?.at.column ?? 0) > 1], [7, true])
  })
}

test('explain shows every key that was asked for, and the line that decided', async () => {
  using dir = tempDir()
  const config = await buildSite(dir)
  using map = disposable(openMapInForce(config))
  const { steps } = explain({ text: 'bob+x', direction: 'retrieval' }, map.reader, config)
  assert.deepEqual(
    steps.map(({ source, asked, found, at }) => [source, asked, found, at?.line]),
    [
      ['domains', 'example.com', 'is ours', undefined],
      ['popmap', 'bob+x%example.com', undefined, undefined],
      ['popmap', 'bob%example.com', undefined, undefined],
      ['popmap', 'example.com!bob+x', undefined, undefined],
      ['popmap', 'example.com!bob', 'bob.b@ingrid', 3],
    ],
  )
  const listed = [...listUsers(map.reader, { match: 'mbox*' })]
  assert.deepEqual(
    listed.map(({ user, value, retrieval }) => [user, value, retrieval]),
    [
      ['mbox-carl', undefined, 'otto'],
      ['mbox-carl+work', undefined, 'ingrid'],
    ],
  )
  const shown = showUser(map.reader, config, 'carl')
  assert.deepEqual(
    shown.lines.map(({ source, key, value }) => [source, key, value]),
    [
      ['user_map', 'carl', 'fritz'],
      ['popmap', 'mbox-carl', 'otto'],
    ],
  )
})

function disposable(reader: ReturnType<typeof openMapInForce>) {
  return { reader, [Symbol.dispose]: () => reader.close() }
}

test('a login form is exported by the names that clients type', async () => {
  using dir = tempDir()
  const config = await buildSite(dir)
  const lines = exported(config, 'perdition-popmap')
  assert.ok(lines.includes('ann@example.com:ingrid.example.org:143'), lines.join('\n'))
  assert.ok(lines.includes('bob@example.com:bob.b@ingrid.example.org:143'))
  assert.ok(lines.includes('carl@example.com:otto.example.org:143'))
  assert.equal(new Set(lines).size, lines.length)
  assert.doesNotMatch(lines.join('\n'), /mbox|[!%]/)
})

test('commands leave such keys to a person, and change mail all the same', async () => {
  using dir = tempDir()
  const config = await buildSite(dir)
  const request = { name: 'zoe', everyDomain: false, value: 'fritz', replace: false }
  await assert.rejects(addUser(config, { ...request, retrieval: 'otto' }), {
    code: 'CHANGE_REFUSED',
    message: /popmap: its keys are those of query_key/,
  })
  await assert.rejects(removeUser(config, 'ann', false), { code: 'CHANGE_REFUSED' })
  assert.equal((await addUser(config, { ...request, retrieval: undefined })).key, 'zoe@example.com')
  assert.equal((await checkMap(config)).equal, true)
  assert.equal((await removeUser(config, 'zoe', false)).key, 'zoe@example.com')
})

test('a changed line of popmap, and a changed query_key, are told as differences', async () => {
  using dir = tempDir()
  const config = await buildSite(dir)
  const popmap = readFileSync(dir.join('popmap'), 'utf8')
  writeFileSync(dir.join('popmap'), popmap.replace('COM:ingrid', 'COM:otto'))
  const changes: unknown[] = []
  await checkMap(config, {}, (change) => void changes.push(change))
  const retrieval = { from: 'ingrid', to: 'otto', fromBackend: 'ingrid', toBackend: 'otto' }
  assert.deepEqual(changes, [
    { kind: 'user', key: 'ann%example.com', change: 'rerouted', retrieval },
  ])
  writeFileSync(dir.join('popmap'), popmap)
  writeFileSync(dir.join('mailmux.yaml'), site.replace(', mbox-\\u', ''))
  const other: string[] = []
  await checkMap(configOf(dir.path, dir.join('map.db')), {}, (change) => {
    if ('text' in change) other.push(`${change.kind} ${change.change} ${change.text}`)
  })
  assert.deepEqual(other, ['query_key removed mbox-\\u'])
})

const keys = fc.string({
  unit: fc.constantFrom('a', 'B', '@', '%', '.', '"', '\\', ' ', ':', '#', ',', '*', 'é'),
  minLength: 1,
  maxLength: 8,
})

test('whatever keys popmap has, json-lines brings them back, and each login finds its own', async () => {
  const config = site.replace(/'.*'/, String.raw`'x\u'`)
  await fc.assert(
    fc.asyncProperty(fc.uniqueArray(keys, { maxLength: 6 }), async (drawn) => {
      using first = tempDir()
      writeFileSync(first.join('mailmux.yaml'), config)
      const json = drawn.map((key) => JSON.stringify({ user: `x${key}`, retrieval: 'otto' }))
      writeFileSync(first.join('in'), json.join('\n'))
      const loaded = configOf(first.path, first.join('map.db'))
      const format = formatOf('json-lines')
      const read = async (dir: TempDir) =>
        importMap({ format, files: [dir.join('in')], backend: undefined, config: loaded })
      const { texts, notes } = await read(first)
      const built = await builtFrom(first, { rules: '* fritz\n', ...Object.fromEntries(texts) })
      assert.ok(built, JSON.stringify(Object.fromEntries(texts)))
      assert.ok(json.length <= notes.length + (texts.get('popmap')?.split('\n').length ?? 0))
      const lines = exported(built, 'json-lines')
      using second = tempDir()
      writeFileSync(second.join('in'), lines.join('\n'))
      const again = await read(second)
      assert.deepEqual(again.notes, [])
      assert.equal(again.texts.get('popmap'), await exportedPopmap(built))
      using map = disposable(openMapInForce(built))
      for (const line of lines) {
        const { user } = JSON.parse(line) as { user?: string }
        if (user === undefined || !/^x[a-z.é]+$/.test(user)) continue
        const question = { text: user.slice(1), direction: 'retrieval' } as const
        const { json: answer } = answerQuestion(question, map.reader, built)
        assert.equal(answer.backend, 'otto', user)
      }
    }),
    { numRuns: 60 },
  )
})

/** Lines of popmap as the map itself would write them. */
async function exportedPopmap(config: Config): Promise<string | undefined> {
  const { dumpMap } = await import('../../src/map/dump.ts')
  const { openCurrent } = await import('../../src/map/compared-map.ts')
  using current = openCurrent(config)
  const lines = [...dumpMap(current.database, current.records())].filter(
    ({ source }) => source === 'popmap',
  )
  return lines.length === 0 ? undefined : lines.map(({ line }) => `${line}\n`).join('')
}

const conf = String.raw`query_key \\u,\\D\\d
domain_delimiter \#
`
const carried: Readonly<Record<string, { text: string; said: RegExp; isCarried: boolean }>> = {
  'with backslashes escaped': {
    text: String.raw`query_key \\u@\\d,\\U`,
    said: /write under map in the config: query_key: '\\u@\\d,\\U'; a login without a domain has default_domain$/,
    isCarried: true,
  },
  'in quotes': {
    text: String.raw`"query_key" '\u\da_domain'`,
    said: /query_key: '\\u\\da_domain'$/,
    isCarried: true,
  },
  'with another delimiter': { text: conf, said: /query_key: '\\u,#\\d'$/, isCarried: true },
  'that asks for addresses': {
    text: String.raw`query_key \\I`,
    said: /\\I is an address or a port/,
    isCarried: false,
  },
}

for (const [how, { text, said, isCarried }] of Object.entries(carried)) {
  test(`perdition.conf: a query_key ${how} is ${isCarried ? 'carried' : 'named'}`, async () => {
    using dir = tempDir()
    writeFileSync(dir.join('perdition.conf'), text)
    const format = formatOf('perdition-conf')
    const files = [dir.join('perdition.conf')]
    const { notes } = await importMap({ format, files, backend: undefined, config: undefined })
    const note = notes.find((one) => said.test(describeNote(one)))
    assert.ok(note, notes.map(describeNote).join('\n'))
    assert.equal(note.isCarried ?? false, isCarried)
  })
}
