/** Any sequence of changes and builds: sources and map say the same after each. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { MailmuxError } from '../../../src/base/error.ts'
import type { Config } from '../../../src/config/config.ts'
import { answerQuestion } from '../../../src/map/answer.ts'
import { buildMap } from '../../../src/map/build.ts'
import { checkMap } from '../../../src/map/check-map.ts'
import { addAlias, removeAlias } from '../../../src/map/edit/change-alias.ts'
import { addUser } from '../../../src/map/edit/add-user.ts'
import { removeUser } from '../../../src/map/edit/change-user.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { configOf } from '../../support/map-case.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const chain = ['a1', 'a2', 'a3', 'a4', 'a5', 'a6', 'a7', 'a8', 'a9']
const names = ['ann', 'bob', 'Carl', 'info', 'team', 'all', ...chain]
const asked = names.flatMap((name) => [
  `${name}@example.com`,
  `${name}@example.net`,
  `${name}+x@example.com`,
])

const name = fc.constantFrom(...names)
const user = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom('ann', 'bob', 'info', 'team', 'all') },
  { weight: 2, arbitrary: name },
  fc.constantFrom(
    'ann@example.net',
    'info@example.net',
    'BOB@Example.Com',
    'team+x@example.com',
    'info+*@example.com',
    '@example.net',
    '@example.com',
    '*@example.com',
    'xann@example.com',
    'a b',
    'a:"b#,',
    '#c@example.com',
  ),
)
const value = fc.constantFrom(
  'fritz',
  'ingrid',
  'ann.b@fritz',
  'ann@example.net',
  'info@example.com',
  'team@example.com',
  'nobody@example.com',
  'x@outside.example',
  'error:5.1.6:551 moved',
  'defer:later',
  '%1@example.com',
  'x%1@example.com',
  '%1@fritz',
)
const login = fc.option(fc.constantFrom('fritz', 'x@ingrid', '%1@fritz'), {
  nil: undefined,
  freq: 3,
})
const change = fc.oneof(
  fc.record({ do: fc.constant('user add'), user, value, login, everyDomain: fc.boolean() }),
  fc.record({ do: fc.constant('user remove'), user, everyDomain: fc.boolean() }),
  fc.record({
    do: fc.constant('alias add'),
    user,
    targets: fc.array(fc.oneof(user, value), { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ do: fc.constant('alias add'), user: name, targets: fc.tuple(name) }),
  fc.record({
    do: fc.constant('alias remove'),
    user,
    targets: fc.array(user, { maxLength: 2 }),
  }),
  fc.record({ do: fc.constant('build') }),
)
const sources = fc.record({
  user_map: fc.constantFrom(
    '# users\nann@example.com    fritz\nbob@example.com    ingrid\n',
    'ann@example.com\tfritz\r\n# bob is gone\r\n"Carl"@example.com\tingrid',
    '\ufeffann fritz\n\nbob   carl@ingrid   \n',
    'ann fritz\ninfo ann@example.com\n@example.net %1@example.com\n',
    'ann fritz\n@example.net x%1@example.com\nxann@example.com ingrid\n',
    'ann@example.com fritz\n@example.com ann@example.com\n',
  ),
  aliases: fc.constantFrom(
    'info: ann\n',
    '# lists\nteam:  ann,\n  # of old\n  bob\ninfo: ann@example.com,ann@example.net\n\n',
    'all: "ann"@example.com,\r\n\tann@example.net\r\n',
    'team: :include:list, ann\n',
    chain.map((one, index) => `${one}: ${chain[index + 1] ?? 'ann'}\n`).join(''),
  ),
  popmap: fc.constantFrom('', 'ann@example.com:ingrid\n', '*@example.com:fritz\n# by hand\n'),
  rules: fc.constantFrom('', 'a-c fritz\n'),
})
type Texts = Readonly<Record<'user_map' | 'aliases' | 'popmap' | 'rules', string>>

function writeSources(dir: TempDir, texts: Partial<Texts>): void {
  for (const [source, text] of Object.entries(texts)) {
    if (source !== 'rules' || text !== '') writeFileSync(dir.join(source), text)
  }
  writeFileSync(dir.join('list'), 'bob\nann@example.net\n')
}

type Change = { readonly do: string } & Readonly<Record<string, unknown>>

async function perform(config: Config, one: Change) {
  const {
    user: named = '',
    value: word = '',
    login: retrieval,
    everyDomain = false,
    targets = [],
  } = one as {
    user?: string
    value?: string
    login?: string
    everyDomain?: boolean
    targets?: string[]
  }
  switch (one.do) {
    case 'user add':
      return addUser(config, {
        name: named,
        everyDomain: everyDomain && !named.includes('@'),
        value: word,
        retrieval,
        replace: true,
      })
    case 'user remove':
      return removeUser(config, named, everyDomain && !named.includes('@'))
    case 'alias add':
      return addAlias(config, { name: named, targets })
    case 'alias remove':
      return removeAlias(config, { name: named, targets })
    default:
      return buildMap(config)
  }
}

function answers(config: Config): string[] {
  const map = openMapInForce(config)
  try {
    return asked.flatMap((text) =>
      (['delivery', 'retrieval'] as const).map((direction) => {
        const { json, destinations } = answerQuestion({ text, direction }, map, config)
        return JSON.stringify({ ...json, generation: 0, destinations })
      }),
    )
  } finally {
    map.close()
  }
}

const edited = ['user_map', 'aliases', 'popmap']

/** Lines that no change was about. */
function comments(folder: string): string[] {
  return edited.flatMap((source) =>
    readFileSync(`${folder}/${source}`, 'utf8')
      .split(/\r?\n/)
      .filter((line) => /^\s*#/.test(line)),
  )
}

/** The change is made whole or refused whole, and a build of the sources gives the same map. */
async function check(dir: TempDir, config: Config, one: Change): Promise<MailmuxError | undefined> {
  const fresh = {
    ...config,
    map: { ...config.map, database: dir.join('fresh/map.db') },
    stateDir: dir.join('fresh'),
  }
  const read = () => edited.map((source) => readFileSync(dir.join(source)))
  const before = read()
  const refusal = await perform(config, one).then(
    () => undefined,
    (error: unknown) => error,
  )
  if (refusal !== undefined) {
    assert.ok(refusal instanceof MailmuxError, inspect(refusal))
    assert.notEqual(one.do, 'build', refusal.message)
    assert.deepEqual(read(), before, 'what is refused changes nothing')
  }
  await buildMap(fresh, { force: true }).catch((error: unknown) => {
    throw new Error(`no build takes what is left of ${JSON.stringify(one)}`, { cause: error })
  })
  assert.ok((await checkMap(config)).equal, JSON.stringify(one))
  assert.deepEqual(answers(config), answers(fresh), JSON.stringify(one))
  return refusal
}

test('after every change a fresh build of the sources gives the answers of the map', async () => {
  await fc.assert(
    fc.asyncProperty(sources, fc.array(change, { maxLength: 8 }), async (texts, changes) => {
      using dir = tempDir()
      writeSources(dir, texts)
      const config = configOf(dir.path, dir.join('map.db'))
      try {
        await buildMap(config)
      } catch {
        return // The texts do not go together.
      }
      const said = comments(dir.path)
      mkdirSync(dir.join('fresh'))
      for (const one of changes) await check(dir, config, one)
      assert.deepEqual(comments(dir.path), said)
    }),
    { numRuns: 40 },
  )
})

const chained = chain.map((one, index) => `${one}: ${chain[index + 1] ?? 'ann'}\n`).join('')

for (const { what, texts, changes, refused } of [
  {
    what: 'a forward to nobody that an alias has hidden',
    texts: { user_map: 'ann fritz\n', aliases: 'info: ann\n' },
    changes: [
      { do: 'user add', user: 'info', value: 'nobody@example.net' },
      { do: 'alias remove', user: 'info' },
    ],
    refused: /the forward of info@example\.com would lead nowhere \(.*user_map:2:1\): nobody@/,
  },
  {
    what: 'a forward that a line of one domain has hidden',
    texts: {
      user_map: 'ann fritz\ninfo@example.com ann@example.com\ninfo@example.net fritz\n',
      aliases: '',
    },
    changes: [
      { do: 'user add', user: 'info', value: 'info@example.com', everyDomain: true },
      { do: 'user remove', user: 'info@example.com' },
    ],
    refused: /the forward of info would break \(.*\): aliases go in a circle: info@example\.com → /,
  },
  {
    what: 'a chain that is too long by the way that is not met first',
    texts: { user_map: 'ann fritz\n', aliases: chained },
    changes: [
      { do: 'alias add', user: 'info', targets: ['a9', 'a1'] },
      { do: 'alias add', user: 'all', targets: ['a8', 'info'] },
    ],
    refused: /aliases lead more than 10 deep: all@example\.com → info@example\.com → a1@/,
  },
  {
    what: 'what a catch-all makes of a name',
    texts: {
      user_map: 'ann fritz\n@example.net x%1@example.com\nxbob@example.com ingrid\n',
      aliases: 'info: bob@example.net\n',
    },
    changes: [{ do: 'user remove', user: 'xbob@example.com' }],
    refused: /the forward of @example\.net would lead nowhere \(.*\): xbob@example\.com is nobody/,
  },
  {
    what: 'a catch-all that leads to itself by longer and longer names',
    texts: {
      user_map: 'ann fritz\n@example.com x%1@example.com\nxbob@example.com ingrid\n',
      aliases: 'info: xbob\n',
    },
    changes: [{ do: 'user remove', user: 'xbob@example.com' }],
    refused: /the forward of @example\.com would (?:break|lead nowhere) \(/,
  },
  {
    what: 'an alias of a whole domain',
    texts: { user_map: 'ann fritz\n', aliases: '' },
    changes: [{ do: 'alias add', user: '@example.com', targets: ['ann'] }],
    refused: /an alias has a name/,
  },
  {
    what: 'a user by the key that is a pattern in popmap',
    texts: { user_map: 'ann fritz\n', popmap: '*@example.com:ingrid\n', aliases: '' },
    changes: [{ do: 'user add', user: '*@example.com', value: 'fritz', login: 'fritz' }],
    refused: /write @example\.com for every other name/,
  },
  {
    what: 'a target with a quote that is left open',
    texts: { user_map: 'ann fritz\n"a:\\"b" fritz\n', aliases: '' },
    changes: [{ do: 'alias add', user: 'info', targets: ['a:"b', 'ann'] }],
    refused: /is not one target/,
  },
  {
    what: 'a target that a file includes, and that is written as well',
    texts: { user_map: 'ann fritz\nbob ingrid\n', aliases: 'team: ann, :include:list, bob\n' },
    changes: [
      { do: 'alias add', user: 'team', targets: ['x@outside.example'] },
      { do: 'alias remove', user: 'team', targets: ['ann'] },
      { do: 'alias remove', user: 'team', targets: ['x@outside.example', 'bob'] },
    ],
    refused: /aliases:1:1: bob comes from an included file: edit it there/,
  },
  {
    what: 'the last line of the map',
    texts: { user_map: 'ann fritz\n', aliases: '' },
    changes: [{ do: 'user remove', user: 'ann', everyDomain: true }],
    refused: /the map would have no user, no alias and no rule/,
  },
]) {
  test(`refused: ${what}`, async () => {
    using dir = tempDir()
    writeSources(dir, { popmap: '', ...texts })
    mkdirSync(dir.join('fresh'))
    const config = configOf(dir.path, dir.join('map.db'))
    await buildMap(config)
    for (const one of changes.slice(0, -1)) {
      assert.equal(await check(dir, config, one), undefined, JSON.stringify(one))
    }
    const last = changes.at(-1)
    assert.ok(last)
    const refusal = await check(dir, config, last)
    assert.match(refusal?.message ?? 'accepted', refused)
  })
}
