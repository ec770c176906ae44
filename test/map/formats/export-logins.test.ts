/** Forms with exact entries: each name once, and where a lookup sends it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { answerQuestion } from '../../../src/map/answer.ts'
import { exportMap } from '../../../src/map/formats/export-map.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { builtFrom, exported, formatOf, linesOf } from '../../support/exported-map.ts'
import { tempDir } from '../../support/temp-dir.ts'

/** What stands first in a line names whom it is about. */
const keyOfLine: Readonly<Record<string, RegExp>> = {
  'postfix-transport': /^(\S+)\t/,
  'postfix-virtual': /^(\S+)\t/,
  'postfix-relocated': /^(\S+)\t/,
  'postfix-relay-recipients': /^(\S+)\t/,
  'perdition-popmap': /^([^:]+):/,
  'dovecot-passwd-file': /^([^:]+):/,
  'nginx-map': /^("[^"]*"|default) /,
  'haproxy-map': /^(\S+) /,
  'stalwart-tsv': /^(\S+)\t/,
  'sora-json': /^\{"address":"([^"]+)"/,
}

/** In these forms each line says where one login goes. */
const routeOfLine: Readonly<Record<string, RegExp>> = {
  'dovecot-passwd-file': /^[^:]+:.* host=(?<host>\S+).* destuser=(?<login>\S+)$/,
  'haproxy-map': /^\S+ (?<backend>\S+)$/,
  'stalwart-tsv': /^\S+\t(?<backend>\S+)$/,
  'sora-json': /^\{"address":"[^"]+","server":"(?<host>[^":]+):\d+"\}$/,
}

const names = [
  'ann',
  'ann@example.com',
  'ann@example.net',
  'bob',
  'bob@example.net',
  'bob+x@example.com',
]
const drawn = fc.record({
  user_map: fc.dictionary(
    fc.constantFrom(...names, '@example.net'),
    fc.constantFrom('fritz', 'x.y@ingrid', 'carl@else.org', 'error:5.1.6:550 gone', 'defer:later'),
  ),
  popmap: fc.dictionary(fc.constantFrom(...names), fc.constantFrom('fritz', 'n.n@ingrid')),
  aliases: fc.dictionary(fc.constantFrom('ann', 'team', 'team@example.com'), fc.constant('u1')),
  patterns: fc.subarray(['^a: ingrid', '^(.).*@example.net: $1$1@fritz']),
})

test('an export names nobody twice, and sends logins where a lookup does', async () => {
  let built = 0
  await fc.assert(
    fc.asyncProperty(drawn, async ({ user_map, popmap, aliases, patterns }) => {
      using dir = tempDir()
      const config = await builtFrom(dir, {
        user_map: linesOf(user_map, '\t'),
        'popmap/a': linesOf(popmap, ':'),
        'popmap/b.re': patterns.map((line) => `${line}\n`).join(''),
        aliases: linesOf(aliases, ': '),
        rules: '* fritz\n',
      })
      if (config === undefined) return
      built++
      const map = openMapInForce(config)
      try {
        for (const [format, pattern] of Object.entries(keyOfLine)) {
          const lines = exported(config, format)
          const keys = lines.map((line) => pattern.exec(line)?.[1] ?? assert.fail(line))
          assert.deepEqual([...new Set(keys)], keys, `${format}:\n${lines.join('\n')}`)
          for (const [index, line] of lines.entries()) {
            const told =
              routeOfLine[format] && (routeOfLine[format].exec(line) ?? assert.fail(line))
            if (told === undefined) continue
            const question = { text: keys[index] ?? '', direction: 'retrieval' } as const
            const { json } = answerQuestion(question, map, config)
            const said = Object.keys(told.groups ?? {}).map((name) => [name, { ...json }[name]])
            assert.deepEqual({ ...told.groups }, Object.fromEntries(said), `${format}: ${line}`)
          }
        }
      } finally {
        map.close()
      }
    }),
    { numRuns: 40 },
  )
  assert.ok(built > 10, `only ${built} maps were built`)
})

test('a passwd-file names the protocols that its one port does not hold for', async () => {
  using dir = tempDir()
  const backends: readonly (readonly [name: string, ports: string, named: string])[] = [
    ['fritz', 'imap: 143, pop3: 110, sieve: 4190', ''],
    ['ingrid', 'imap: 143, sieve: 2000', 'ManageSieve'],
    ['paul', 'imap: {port: 993, tls: implicit}, pop3: 110, sieve: 4190', 'POP3 and ManageSieve'],
    ['rosa', 'pop3: 110, sieve: {port: 4190, tls: starttls}', 'ManageSieve'],
  ]
  const config = await builtFrom(dir, {
    'mailmux.yaml': `hostname: mx.example.com
domains: [example.com]
backends:
${backends.map(([name, ports]) => `  ${name}: {host: ${name}.example.org, ${ports}}\n`).join('')}map: {user_map: user_map}
`,
    user_map: backends.map(([name]) => `of-${name} ${name}\n`).join(''),
  })
  assert.ok(config)
  const map = openMapInForce(config)
  try {
    const printed = [...exportMap(formatOf('dovecot-passwd-file'), map, config)]
    const told = printed.flatMap((one) => (typeof one === 'string' ? [] : [JSON.stringify(one)]))
    for (const [name, , named] of backends) {
      const said = told.find((text) => text.includes(name) && text.includes('another port'))
      assert.equal(/TLS for (.*?):/.exec(said ?? '')?.[1] ?? '', named, name)
    }
  } finally {
    map.close()
  }
})
