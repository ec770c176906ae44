/** Whom a user may send as, by a map of every kind of line. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import type { Generation } from '../../../src/daemon/runtime.ts'
import { judgeSender } from '../../../src/daemon/login/sender-check.ts'
import type { Resolution } from '../../../src/mail/route.ts'
import { buildMap } from '../../../src/map/build.ts'
import { openMap } from '../../../src/map/open.ts'
import { parsePath } from '../../../src/protocol/smtp/path.ts'
import { type TempDir, tempDir } from '../../support/temp-dir.ts'

const sources = {
  aliases: `info: ann
deep: info
team: bob, carl
both: ann, bob
ann-and-more: ann, bob@example.com
carl: carl, bob
news+ann@example.com: ann
`,
  user_map: `boss@example.com  ann@fritz
office@example.com  dora.b@ingrid
dora@example.com  dora.b@ingrid
emil@example.com  emil@ingrid
ann@example.net  bob@fritz
old@example.com  ann@example.com
gone@example.com  error:5.7.1:550 gone
later@example.com  defer:later
@shop.example.com  ann@fritz
`,
  popmap: 'emil@example.com:fritz\n',
  rules: 'a-m fritz\n',
}

let dir: TempDir
let generation: Generation

before(async () => {
  dir = tempDir()
  for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
  writeFileSync(
    dir.join('mailmux.yaml'),
    `hostname: mx1.example.com
domains: [example.com, example.net, shop.example.com]
backends: {fritz: {host: 10.0.0.11, smtp: 25, imap: 143, submission: 587}, ingrid: {host: 10.0.0.12, smtp: 25, imap: 143}}
map: {aliases: aliases, user_map: user_map, popmap: popmap, rules: rules, database: map.db}
check_sender: own
state_dir: state
`,
  )
  const { config } = await loadConfig(dir.join('mailmux.yaml'))
  await buildMap(config)
  const map = openMap(dir.join('map.db'))
  generation = { config, map, serverTls: undefined, backendTls: new Map() }
})

after(() => {
  generation.map.close()
  dir[Symbol.dispose]()
})

function damaged(): Resolution {
  return { result: 'error', user: 'x', reason: 'damaged' }
}

function judge(user: string, sender: string): string {
  const path = parsePath(`<${sender}>`)?.path
  assert.ok(path !== undefined, sender)
  return judgeSender(generation, user, path)
}

const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
  [
    'ann@example.com',
    [
      'ann@example.com',
      'ANN+lists@EXAMPLE.com',
      '"ann"@example.com.',
      'info@example.com',
      'deep@example.com',
      'both@example.com',
      'ann-and-more@example.com',
      'news+ann@example.com',
      // The same mailbox there, by another name.
      'boss@example.com',
      'old@example.com',
      'anything@shop.example.com',
    ],
    [
      '',
      'bob@example.com',
      'team@example.com',
      'ann@example.net',
      'ann@elsewhere.example.org',
      'ann@[192.0.2.1]',
      'gone@example.com',
      'later@example.com',
      'nobody@example.com',
      'zoe@example.com',
      'news@example.com',
      '"ann@example.com"@example.com',
    ],
  ],
  // An alias of the own name leads to others, too: it is theirs in turn, and not the other way round.
  ['carl@example.com', ['carl@example.com', 'team@example.com'], ['bob@example.com']],
  [
    'bob@example.com',
    ['carl@example.com', 'team@example.com'],
    ['ann@example.com', 'info@example.com'],
  ],
  ['dora@example.com', ['dora@example.com', 'office@example.com'], ['ann@example.com']],
  // Logins go elsewhere than mail.
  ['emil@example.com', ['emil@example.com', 'emil+x@example.com'], ['ann@example.com']],
]

for (const [user, own, foreign] of cases) {
  test(`${user} may send as every address that leads there, and no other`, () => {
    for (const sender of own) assert.equal(judge(user, sender), 'own', sender)
    for (const sender of foreign) assert.equal(judge(user, sender), 'foreign', sender)
  })
}

test('nobody is an own sender where the config says so', () => {
  const { config } = generation
  const lax = { ...generation, config: { ...config, checkSender: 'own-or-null' as const } }
  const path = parsePath('<>')?.path
  assert.ok(path !== undefined)
  assert.equal(judgeSender(lax, 'ann@example.com', path), 'own')
})

test('a lookup that fails decides nothing', () => {
  const map = { ...generation.map, resolve: damaged }
  const path = parsePath('<info@example.com>')?.path
  assert.ok(path !== undefined)
  assert.equal(judgeSender({ ...generation, map }, 'ann@example.com', path), 'unknown')
})
