/** json-lines loses nothing: a map of its lines says the same of everything, and prints the same. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Config } from '../../../src/config/config.ts'
import { importMap } from '../../../src/map/formats/import-map.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { builtFrom, exported, formatOf, linesOf } from '../../support/exported-map.ts'
import { tempDir } from '../../support/temp-dir.ts'

const keys = fc.constantFrom(
  'ann@example.com',
  'bob',
  'carl+list@example.com',
  'carl+*@example.net',
  '@example.net',
  '"q r"@example.com',
  '"a,b:c"@example.net',
  '"#x"@example.com',
  String.raw`"b\"s\\"@example.com`,
  'jörg@example.net',
  'ж',
)
const values = fc.constantFrom(
  'fritz',
  'ann.b@fritz',
  'x@y.org@ingrid',
  'z@else.org',
  'ann@example.com',
  '"a,b"@else.org',
  'ü@bücher.example',
  'error:5.7.1:553 text of it: 1, "2"',
  'error:no',
  'defer:4.3.0:451 later',
  'smtp:[10.0.0.12]:24',
)
const targets = fc.constantFrom(
  'ann@example.com',
  'u1',
  '"q r"@example.com',
  '"a,b"@else.org',
  'x@bücher.example',
  String.raw`"b\"s"@else.org`,
)
const drawn = fc.record({
  user_map: fc.dictionary(keys, values),
  popmap: fc.dictionary(
    keys.filter((key) => !/^@|\+\*/.test(key)),
    fc.constantFrom('fritz', 'n.n@ingrid', 'x@y.org@fritz:143'),
  ),
  aliases: fc.dictionary(
    fc.constantFrom('info', 'owner-info', 'Team@example.com', '"a b"@example.net', 'ж2'),
    fc.uniqueArray(targets, { minLength: 1 }),
  ),
  wildcards: fc.subarray(['*@example.net:ingrid', '*@example.com:x$@fritz']),
  patterns: fc.subarray([
    '^a: ingrid',
    String.raw`^(.*)@example\.net$:   $1@fritz:143`,
    '[[:alpha:]]+x fritz',
    '*@example.com ingrid',
  ]),
  rules: fc.subarray([
    'a-f ingrid',
    '@example.net hash(fritz*2, ingrid)',
    '*x@example.com   fritz',
    '/^z "/ fritz',
    '*.old@example.com reject 5.1.1 "gone, \\"for good\\""',
    'm? defer "later"',
    'ж-я ingrid',
  ]),
})

function saidBy(config: Config): unknown {
  const map = openMapInForce(config)
  try {
    const { rules, patterns } = map.lookup
    return {
      rules: rules.map(({ text, destination }) => ({ text, destination })),
      patterns: patterns.map(({ pattern, backend, login }) => ({ pattern, backend, login })),
      records: [...map.records()]
        .map((record) => JSON.stringify({ ...record, at: undefined }))
        .toSorted(),
    }
  } finally {
    map.close()
  }
}

test('json-lines carries every map whole', async () => {
  let built = 0
  await fc.assert(
    fc.asyncProperty(drawn, async (map) => {
      using first = tempDir()
      const config = await builtFrom(first, {
        user_map: linesOf(map.user_map, '\t'),
        'popmap/a': linesOf(map.popmap, ':') + map.wildcards.map((line) => `${line}\n`).join(''),
        'popmap/b.re': map.patterns.map((line) => `${line}\n`).join(''),
        aliases: linesOf(map.aliases, ': '),
        rules: [...map.rules, '* fritz', ''].join('\n'),
      })
      if (config === undefined) return
      const lines = exported(config, 'json-lines')
      using second = tempDir()
      const file = second.join('map.jsonl')
      writeFileSync(file, lines.join('\n'))
      const read = { format: formatOf('json-lines'), files: [file], backend: undefined }
      const { texts, notes, missing } = await importMap({ ...read, config })
      assert.deepEqual([notes, missing], [[], []])
      const { popmap = '', 'popmap.re': patterns = '', ...others } = Object.fromEntries(texts)
      const sources = { ...others, 'popmap/a': popmap, 'popmap/b.re': patterns }
      const again = await builtFrom(second, sources)
      assert.ok(again, JSON.stringify(sources))
      built++
      assert.deepEqual(saidBy(again), saidBy(config))
      assert.deepEqual(exported(again, 'json-lines'), lines)
    }),
    { numRuns: 60 },
  )
  assert.ok(built > 10, `only ${built} maps were built`)
})
