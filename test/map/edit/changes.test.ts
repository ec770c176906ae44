/** Any sequence of changes and builds: sources and map say the same after each. */
import assert from 'node:assert/strict'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { MailmuxError } from '../../../src/base/error.ts'
import type { Config } from '../../../src/config/config.ts'
import { answerQuestion } from '../../../src/map/answer.ts'
import { buildMap } from '../../../src/map/build.ts'
import { checkMap } from '../../../src/map/check-map.ts'
import { addAlias, removeAlias } from '../../../src/map/edit/change-alias.ts'
import { addUser, removeUser } from '../../../src/map/edit/change-user.ts'
import { openMapInForce } from '../../../src/map/open.ts'
import { configOf } from '../../support/map-case.ts'
import { tempDir } from '../../support/temp-dir.ts'

const names = ['ann', 'bob', 'Carl', 'info', 'team', 'all']
const asked = names.flatMap((name) => [`${name}@example.com`, `${name}@example.net`])

const name = fc.constantFrom(...names)
const user = fc.oneof(
  name,
  fc.constantFrom(
    'ann@example.net',
    'BOB@Example.Com',
    'team+x@example.com',
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
  'error:5.1.6:551 moved',
)
const change = fc.oneof(
  fc.record({ do: fc.constant('user add'), user, value, everyDomain: fc.boolean() }),
  fc.record({ do: fc.constant('user remove'), user, everyDomain: fc.boolean() }),
  fc.record({
    do: fc.constant('alias add'),
    user: name,
    targets: fc.array(user, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({
    do: fc.constant('alias remove'),
    user: name,
    targets: fc.array(user, { maxLength: 2 }),
  }),
  fc.record({ do: fc.constant('build') }),
)
const sources = fc.record({
  user_map: fc.constantFrom(
    '# users\nann@example.com    fritz\nbob@example.com    ingrid\n',
    'ann@example.com\tfritz\r\n# bob is gone\r\n"Carl"@example.com\tingrid',
    '\ufeffann fritz\n\nbob   carl@ingrid   \n',
  ),
  aliases: fc.constantFrom(
    'info: ann\n',
    '# lists\nteam:  ann,\n  # of old\n  bob\ninfo: ann@example.com,ann@example.net\n\n',
    'all: "ann"@example.com,\r\n\tann@example.net\r\n',
  ),
})

async function perform(config: Config, one: { do: string } & Record<string, unknown>) {
  const {
    user: named = '',
    value: word = '',
    everyDomain = false,
    targets = [],
  } = one as {
    user?: string
    value?: string
    everyDomain?: boolean
    targets?: string[]
  }
  switch (one.do) {
    case 'user add':
      return addUser(config, {
        name: named,
        everyDomain: everyDomain && !named.includes('@'),
        value: word,
        retrieval: undefined,
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

/** Lines that no change was about. */
function comments(folder: string): string[] {
  return ['user_map', 'aliases'].flatMap((source) =>
    readFileSync(`${folder}/${source}`, 'utf8')
      .split(/\r?\n/)
      .filter((line) => /^\s*#/.test(line)),
  )
}

test('after every change a fresh build of the sources gives the answers of the map', async () => {
  await fc.assert(
    fc.asyncProperty(sources, fc.array(change, { maxLength: 8 }), async (texts, changes) => {
      using dir = tempDir()
      writeFileSync(dir.join('user_map'), texts.user_map)
      writeFileSync(dir.join('aliases'), texts.aliases)
      const config = configOf(dir.path, dir.join('map.db'))
      try {
        await buildMap(config)
      } catch {
        return // The texts do not go together.
      }
      const said = comments(dir.path)
      mkdirSync(dir.join('fresh'))
      const fresh = {
        ...config,
        map: { ...config.map, database: dir.join('fresh/map.db') },
        stateDir: dir.join('fresh'),
      }
      for (const one of changes) {
        const before = ['user_map', 'aliases'].map((source) => readFileSync(dir.join(source)))
        try {
          await perform(config, one)
        } catch (error) {
          assert.ok(error instanceof MailmuxError, String(error))
          assert.notEqual(one.do, 'build', error.message)
          const after = ['user_map', 'aliases'].map((source) => readFileSync(dir.join(source)))
          assert.deepEqual(after, before, 'what is refused changes nothing')
        }
        await buildMap(fresh, { force: true })
        assert.ok((await checkMap(config)).equal, JSON.stringify(one))
        assert.deepEqual(answers(config), answers(fresh), JSON.stringify(one))
      }
      assert.deepEqual(comments(dir.path), said)
    }),
    { numRuns: 60 },
  )
})
