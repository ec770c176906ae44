import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { buildMap } from '../../src/map/build.ts'
import { showUser } from '../../src/map/listing.ts'
import { openMapInForce } from '../../src/map/open.ts'
import { configOf } from '../support/map-case.ts'
import { tempDir } from '../support/temp-dir.ts'

const sources = {
  user_map: `ann@example.com fritz
ann@example.net ingrid
bob fritz
carl ingrid
xdora@example.com fritz
old@example.net ann@example.net
list+*@example.com bob@example.com
@example.net x%1@example.com
`,
  aliases: `info: ann@example.com
sales: ann@example.net, bob
team: info@example.net
all: team, sales
carl: carl, bob
desk@example.com: old@example.net
desk: ann@example.com
mail: dora@example.net
`,
}

for (const [user, names] of [
  ['ann@example.com', ['info', 'team', 'all', 'desk']],
  ['ann@example.net', ['old@example.net', 'sales', 'all', 'desk@example.com']],
  ['bob@example.com', ['sales', 'all', 'carl', 'list+*@example.com']],
  ['bob@example.net', []],
  ['carl@example.net', ['carl']],
  ['xdora@example.com', ['mail']],
] as const) {
  test(`of two domains, those lead to ${user} whose mail gets there`, async () => {
    using dir = tempDir()
    for (const [name, text] of Object.entries(sources)) writeFileSync(dir.join(name), text)
    const config = configOf(dir.path, dir.join('map.db'))
    await buildMap(config)
    const map = openMapInForce(config)
    try {
      assert.deepEqual(new Set(showUser(map, config, user).aliases), new Set(names))
    } finally {
      map.close()
    }
  })
}
