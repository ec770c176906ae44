import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Config } from '../../src/config/config.ts'
import { buildMap } from '../../src/map/build.ts'
import { checkMap, compileAside } from '../../src/map/check-map.ts'
import { openCurrent } from '../../src/map/compared-map.ts'
import { describeChange, describeGroup } from '../../src/map/describe-difference.ts'
import { Difference, type DifferenceSummary } from '../../src/map/difference.ts'
import { configOf } from '../support/map-case.ts'
import { planUser } from '../support/sample-change.ts'
import { applyChange } from '../../src/map/state/apply-change.ts'
import { type TempDir, tempDir } from '../support/temp-dir.ts'

type Sources = Readonly<Record<string, string>>

function configIn(dir: TempDir, sources: Sources): Config {
  for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
  return configOf(dir.path, dir.join('map.db'))
}

/** What differs between two sets of sources, as lines. */
async function compare(
  older: Sources,
  newer: Sources,
): Promise<{ lines: string[]; summary: DifferenceSummary }> {
  using first = tempDir()
  using second = tempDir()
  const config = configIn(second, newer)
  using before = await compileAside(configIn(first, older))
  using after = await compileAside(config)
  const difference = new Difference(before, after, config.naming)
  const lines = [...difference.changes()].map(describeChange)
  return { lines, summary: difference.summary }
}

test('users who go elsewhere are told with both places, grouped by back-ends', async () => {
  const { lines, summary } = await compare(
    {
      user_map:
        'nora@example.com fritz\nbob fritz\ncarl@example.com fritz\nold@example.com otto\n' +
        'out@example.com fritz\nname@example.com ann@fritz\n',
      popmap: 'pop@example.com:fritz\nout@example.com:fritz\n',
    },
    {
      user_map:
        'new@example.com paul\nnora@example.com ingrid\nbob ingrid\ncarl@example.com fritz\n' +
        'out@example.com me@elsewhere.example\nname@example.com bea@fritz\n',
      popmap: 'pop@example.com:ingrid\nout@example.com:fritz\n',
    },
  )
  assert.deepEqual(lines, [
    '+ user new@example.com: - → paul',
    '~ user nora@example.com: fritz → ingrid',
    '~ user bob: fritz → ingrid',
    '- user old@example.com: otto → -',
    '~ user out@example.com: mail fritz → me@elsewhere.example',
    '~ user name@example.com: ann@fritz → bea@fritz',
    '~ user pop@example.com: logins fritz → ingrid',
  ])
  const { groups, ...counts } = summary
  assert.deepEqual(counts, { users: 6, rerouted: 5, added: 1, removed: 1, aliases: 0, settings: 0 })
  assert.deepEqual(groups.map(describeGroup), [
    'fritz → ingrid: 2',
    'mail fritz → forward: 1',
    'fritz → fritz: 1',
    'logins fritz → ingrid: 1',
  ])
})

test('a user that no line names any more goes where a rule says', async () => {
  const rules = '* ingrid\n'
  const { lines } = await compare(
    { user_map: 'nora@example.com fritz\nbob@example.com ingrid\n', rules },
    { rules },
  )
  assert.deepEqual(lines, ['~ user nora@example.com: fritz → ingrid'])
})

test('rules, patterns and aliases are told, and users whom they send elsewhere', async () => {
  const { lines } = await compare(
    {
      rules: 'a-f fritz\ng-k ingrid\n@example.net  fritz\n',
      popmap: 'nora@example.com:fritz\n*@example.net:fritz\n',
      user_map: 'max@example.net fritz\nbob@example.com fritz\n',
      aliases: 'list: bob@example.com, max@example.net\ngone: bob@example.com\n',
    },
    {
      rules: 'g-k ingrid\na-f fritz\n@example.net fritz\nn-p otto\n',
      popmap: 'nora@example.com:fritz\n*@example.net:ingrid\n',
      user_map: 'max@example.net fritz\nbob@example.com fritz\n',
      aliases: 'list: max@example.net, nora@example.com\n',
    },
  )
  assert.deepEqual(lines, [
    '+ rule n-p otto',
    '~ rule g-k ingrid (moved)',
    '~ rule a-f fritz (moved)',
    '- pattern *@example.net → fritz',
    '+ pattern *@example.net → ingrid',
    '~ user max@example.net: logins fritz → ingrid',
    '~ user nora@example.com: mail - → otto',
    '~ alias list: +nora@example.com, -bob@example.com',
    '- alias gone: -bob@example.com',
  ])
})

test('users of a domain that is given up are gone', async () => {
  using first = tempDir()
  using second = tempDir()
  const sources = { user_map: 'nora@example.com fritz\nbob@example.net fritz\n' }
  const config = configIn(second, sources)
  const fewer = { ...config, naming: { ...config.naming, domains: new Set(['example.com']) } }
  using before = await compileAside(configIn(first, sources))
  using after = await compileAside(fewer)
  const changes = [...new Difference(before, after, fewer.naming).changes()]
  assert.deepEqual(changes.map(describeChange), [
    '- domain example.net',
    '- user bob@example.net: fritz → -',
  ])
})

const names = ['ann', 'bob', 'carl', 'dora', 'eve', 'fred', 'gus', 'hal'].flatMap((name) => [
  `${name}@example.com`,
  `${name}@example.net`,
])
const lines = (value: fc.Arbitrary<string>) =>
  fc.uniqueArray(fc.tuple(fc.constantFrom(...names), value), { selector: ([name]) => name })
const backend = fc.constantFrom('fritz', 'ingrid')
const sources = fc.record({
  users: lines(fc.oneof(backend, fc.constantFrom('x@fritz', 'y@fritz'))),
  logins: lines(backend),
  aliases: lines(fc.constantFrom('root', 'root, mail')),
})
type Drawn = typeof sources extends fc.Arbitrary<infer Value> ? Value : never

function textOf({ users, logins, aliases }: Drawn): Sources {
  return {
    user_map: `root fritz\nmail fritz\n${users.map(([name, value]) => `${name} ${value}\n`).join('')}`,
    popmap: `${logins.map(([name, value]) => `${name}:${value}\n`).join('')}# the end\n`,
    aliases: `# lists\n${aliases.map(([name, value]) => `${name}: ${value}\n`).join('')}`,
  }
}

function valueOf(name: string, pairs: readonly (readonly [string, string])[]): string {
  return pairs.find(([key]) => key === name)?.[1] ?? '-'
}

/** Keys of users and of aliases that differ, found without any cleverness. */
function plainDifference(older: Drawn, newer: Drawn): string[] {
  return names.flatMap((name) => {
    const [before, after] = [older, newer].map(({ users, logins, aliases }) => {
      const mail = valueOf(name, users)
      const login = valueOf(name, logins)
      const ways = `${mail} ${login === '-' ? mail : login}`
      return { ways, targets: valueOf(name, aliases) }
    })
    return [
      ...(before?.ways === after?.ways ? [] : [`user ${name}`]),
      ...(before?.targets === after?.targets ? [] : [`alias ${name}`]),
    ]
  })
}

test('whatever the order of lines, just those who differ are told, once', async () => {
  await fc.assert(
    fc.asyncProperty(sources, sources, fc.boolean(), async (older, drawn, isNear) => {
      // Near: most lines are the same, at other places.
      const newer = isNear
        ? {
            ...older,
            users: [...older.users.slice(2), ...drawn.users].filter(
              ([name], index, all) => all.findIndex(([other]) => other === name) === index,
            ),
          }
        : drawn
      const { lines: found } = await compare(textOf(older), textOf(newer))
      const keys = found.map((line) => /^. (\w+ [^:]+):/.exec(line)?.[1] ?? line)
      assert.deepEqual(new Set(keys), new Set(plainDifference(older, newer)))
      assert.equal(new Set(keys).size, keys.length)
    }),
    { numRuns: 150 },
  )
})

test('changes since the build are part of the map in force', async () => {
  using dir = tempDir()
  const config = configIn(dir, { user_map: 'ann@example.com fritz\n' })
  await buildMap(config)
  await applyChange(config, async () => planUser(dir.path, 'zoe'))
  assert.equal((await checkMap(config)).equal, true)
  writeFileSync(dir.join('user_map'), 'ann@example.com fritz\n')
  const told: string[] = []
  const report = await checkMap(config, {}, (change) => void told.push(describeChange(change)))
  assert.equal(report.equal, false)
  assert.deepEqual(told, ['- user zoe@example.com: ingrid → -'])
  using current = openCurrent(config)
  assert.equal(current.generation, 2)
})

function line(number: number): string {
  return `user${number}@example.com ${number % 3 === 0 ? `name${number}@fritz` : 'ingrid'}`
}

test('in a map whose lines come in any order, just those who differ are told', async () => {
  const users = Array.from({ length: 2000 }, (_, number) => number)
  const older = users.map(line)
  // A step that is prime to the number of lines: all stand elsewhere.
  const newer = users.map((number) => line((number * 7919) % users.length))
  const change = (from: string, to: string): void => void newer.splice(newer.indexOf(from), 1, to)
  change(line(3), 'user3@example.com other@fritz')
  change(line(4), 'user4@example.com otto')
  change(line(6), 'fresh@example.com otto')
  const last = 'user1@example.com:fritz\n'
  const { lines: found, summary } = await compare(
    { user_map: `${older.join('\n')}\n`, popmap: last },
    {
      user_map: `${newer.join('\n')}\n`,
      popmap: last,
      aliases: 'user2@example.com: user1\nuser1: user1@example.com\n',
    },
  )
  assert.deepEqual(
    found.toSorted((one, other) => (one < other ? -1 : 1)),
    [
      '+ alias user1: +user1@example.com',
      '+ alias user2@example.com: +user1',
      '+ user fresh@example.com: - → otto',
      '- user user6@example.com: name6@fritz → -',
      '~ user user3@example.com: name3@fritz → other@fritz',
      '~ user user4@example.com: ingrid → otto',
    ],
  )
  assert.equal(summary.users, 2000)
})
