/** What an import writes: a build takes all of it, whatever was read. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildMap } from '../../../src/map/build.ts'
import type { Fact } from '../../../src/map/formats/fact.ts'
import { mapFormats } from '../../../src/map/formats/formats.ts'
import { writeSources } from '../../../src/map/formats/write-sources.ts'
import type { MapProblems } from '../../../src/map/problems.ts'
import { configOf } from '../../support/map-case.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** What only the whole of a map can be wrong about: what was made is known as a server only then. */
const ofTheWhole = new Set([
  'backend-target',
  'alias-loop',
  'no-target',
  'unresolved-target',
  'empty-map',
  'bad-include',
  'unreadable',
])

/** What a build says of sources and of the back-ends that were asked for. */
async function faultsOf({ texts, missing }: ReturnType<typeof writeSources>): Promise<string[]> {
  using dir = tempDir()
  for (const [name, text] of texts) {
    const file = dir.join(name.startsWith('popmap') ? `popmap/${name}` : name)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, text)
  }
  const shared = readFileSync('test/maps/mailmux.yaml', 'utf8')
  writeFileSync(dir.join('mailmux.yaml'), [shared.trimEnd(), ...missing, ''].join('\n'))
  try {
    await buildMap(configOf(dir.path, dir.join('map.db')))
    return []
  } catch (error) {
    const { problems } = error as MapProblems
    assert.ok(problems !== undefined, String(error))
    return problems
      .filter(({ severity, code }) => severity === 'error' && !ofTheWhole.has(code))
      .map(({ code, message }) => `${code}: ${message}`)
  }
}

const config = configOf('test/maps/user-map', '/nowhere/map.db')

const words = [
  ['ann', 'bob@example.com', 'Ann@Example.NET', '@example.com', 'u+*@example.com', 'x y', '"q r"'],
  ['#x', '*', '*@example.com', '.example.net', '/^a.*/', '/(?=x)/', '^([a-z]+)$', '~^a', 'a-k'],
  ['fritz', 'ann@fritz', 'smtp:[10.0.0.12]:25', 'new.example.org:143', '[2001:db8::9]:993'],
  ['a b@fritz', '$1@otto', '$2@otto', 'error:5.1.1:550 no', 'error:x"y', 'defer:4.2.1 wait'],
  [':fail: gone', ':include:/nowhere', '|prog', '/var/x', '\\ann', '%1@example.net', '127.0.0.1'],
  ['127.0.0.1:2143', 'reject', 'null', 'a_b.example', 'host=fritz', 'proxy=y', 'default', '0'],
  ['\u00e9@example.com', '\u0007', '\u202e', 'outgoing_server', '{"user":"a b"}'],
]
const word = fc.constantFrom(...words.flat(), 'x'.repeat(400))
const piece = fc.oneof({ weight: 12, arbitrary: word }, fc.string())
const separator = fc.constantFrom(' ', '\t', ':', ': ', ', ', ';', '=', '\n ', '\r\n', ':::::::')
const line = fc
  .tuple(piece, separator, piece, fc.option(fc.tuple(separator, piece), { freq: 3 }))
  .map(([key, between, value, more]) => `${key}${between}${value}${(more ?? []).join('')}\n`)
const text = fc.array(line, { minLength: 10, maxLength: 40 }).map((lines) => lines.join(''))

const readers = [...mapFormats.values()].flatMap(({ parse }) => parse ?? [])

test('a build takes all that an import writes, whatever it has read', async () => {
  let lines = 0
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...readers), text, async (parse, input) => {
      const { facts } = parse({ file: 'f', text: input, backend: 'fritz' })
      const written = writeSources(facts, config)
      lines += [...written.texts.values()].join('').split('\n').length
      assert.deepEqual(await faultsOf(written), [])
    }),
    { numRuns: 150 },
  )
  assert.ok(lines > 400, `only ${lines} lines`)
})

const at = { file: 'f', line: 7, column: 1 }

function user(key: string, host: string, port?: number): Fact {
  const server = { host, ...(port === undefined ? {} : { port, protocol: 'imap' as const }) }
  return { kind: 'user', at, key, side: 'retrieval', to: { kind: 'server', server } }
}

test('of a key that stands twice the first counts, and the other is told', () => {
  const { texts, notes } = writeSources(
    [
      user('Ann@example.com', 'fritz'),
      user('ann@EXAMPLE.com', 'ingrid'),
      user('ann', 'fritz'),
      user('ann', 'fritz'),
    ],
    config,
  )
  assert.equal(texts.get('popmap'), 'Ann@example.com:fritz\nann:fritz\n')
  assert.deepEqual(notes, [
    { at, about: 'ann@EXAMPLE.com', reason: 'it stands twice; the first counts: f:7:1' },
  ])
})

test('a server that is no host is told, and no back-end is made up for it', () => {
  for (const host of ['2143', '10.0.0.300', 'a..b', '-x-']) {
    const { missing, notes } = writeSources([user('a', host)], config)
    assert.deepEqual(missing, [], host)
    assert.match(notes[0]?.reason ?? '', /no host name or address/, host)
  }
})

test('servers of one host with other ports become back-ends of their own', () => {
  const { texts, missing } = writeSources(
    [
      user('a', 'Mail.example.org', 143),
      user('b', 'mail.example.org', 1143),
      user('c', 'mail.example.org', 143),
      user('d', 'mail.example.org'),
    ],
    config,
  )
  assert.equal(texts.get('popmap'), 'a:Mail\nb:mail-2\nc:Mail\nd:Mail\n')
  assert.deepEqual(missing, [
    '  Mail: {host: "Mail.example.org", imap: 143}',
    '  mail-2: {host: "mail.example.org", imap: 1143}',
  ])
})

test('a port that a back-end has not is told once, and a host of several is refused', () => {
  const { texts, notes } = writeSources(
    [
      user('a', 'fritz.example.org', 1143),
      user('b', 'fritz', 1143),
      user('c', '127.0.0.1'),
      user('d', '127.0.0.1', 3143),
    ],
    config,
  )
  assert.equal(texts.get('popmap'), 'a:fritz\nb:fritz\nd:paul\n')
  assert.deepEqual(
    notes.map(({ about, reason, isCarried = false }) => [about, reason, isCarried]),
    [
      ['fritz.example.org', 'fritz has no port 1143: the ports of the config are used', true],
      ['c', '127.0.0.1 is the host of several back-ends: write one of otto, paul', false],
    ],
  )
})

test('mail for one name at a back-end makes a user of an alias', () => {
  const { texts, notes } = writeSources(
    [
      { kind: 'alias', at, name: 'ann@example.com', targets: ['a.n@fritz.example.org'] },
      { kind: 'alias', at, name: 'all', targets: ['ann', 'bob@else.org'] },
      { kind: 'alias', at, name: 'more', targets: ['ann', 'bob@fritz'] },
    ],
    config,
  )
  assert.deepEqual(notes, [
    {
      at,
      about: 'more',
      reason: 'bob@fritz names a back-end: name the user, and the back-end in user_map',
    },
  ])
  assert.deepEqual(Object.fromEntries(texts), {
    user_map: 'ann@example.com\ta.n@fritz\n',
    aliases: 'all: ann, bob@else.org\n',
  })
})
